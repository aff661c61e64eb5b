-- The truth and Prefect's own records are kept apart: losing the second loses no letter and no confirmation.
CREATE DATABASE congvan;
CREATE DATABASE prefect;
