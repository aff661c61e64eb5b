-- The truth lies in the database that the image makes by itself, named after POSTGRES_USER. Prefect's own records are
-- kept apart: losing them loses no letter and no confirmation.
CREATE DATABASE prefect;
