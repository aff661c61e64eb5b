"""Publishes the board behind the work: coalesced, in bulk, and never in the way of a letter."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from congvan.acts import board as board_acts
from congvan.acts import figures, prefect_runs
from congvan.acts.board import Tile
from congvan.house import House
from congvan.settings import SQLITE_BOARD_RUNS
from flows.registered import Deployments
from flows.runs import Runs
from tasks import artifacts, board, events

log = logging.getLogger("congvan.relay")
_AT_ONCE = 3
#: Tiles taken at a time: few, since one bulk call holds Prefect's database for as long as it takes.
TILES = 60
#: Bulk calls at a time where Prefect is on PostgreSQL: while its server waits for the database in one it works at the
#: others. Six are no faster than four, and a hop's own state change waits longer. On SQLite the second would wait for
#: the first.
LANES = 4
#: While a hop is on its way the board makes room for it, at the most this long, in seconds.
MAKE_WAY_S = 3.0
#: Recipients of whom an event could not be told that are remembered for the next time, at the most.
UNTOLD = 2_000
#: What could not be told is told again after so many seconds, or with the next change.
TELL_AGAIN_S = 5.0
#: The least pause between two renewals of artifacts, in seconds.
PICTURE_EVERY_S = 3.0
#: Hops whose artifacts are renewed at a time: the tiles of others wait meanwhile, for about a second.
PICTURES = 10


class Publisher:
    """Shows each recipient's state as a run; remembers the folders it made on each page.

    client: of the server that takes events and everything else. board_client: of the one that takes the pictures.
    """

    def __init__(
        self,
        house: House,
        client: PrefectClient,
        deployments: Deployments,
        runs: Runs,
        board_client: PrefectClient | None = None,
    ) -> None:
        self.house = house
        self.client = client
        self.board_client = board_client or client
        self.deployments = deployments
        self.runs = runs
        self._artifacts = artifacts.Artifacts(self.board_client, house.settings.portal_url)
        self._folders: dict[str, list[tuple[UUID, int]]] = defaultdict(list)
        #: Hops whose recipients changed since their artifacts were made: all, for one who has made none yet.
        self._changed: dict[str, None] | None = None
        #: What could not be told as events yet.
        self._untold: list[Tile] = []
        self._told_at = -math.inf
        self._pictured = 0.0
        self._published = 0.0
        self._lanes = LANES if house.settings.board_runs > SQLITE_BOARD_RUNS else 1
        self._lane = asyncio.Semaphore(self._lanes)
        #: Runs that may have been made before, with older tags: so many of the next by whoever published until now,
        #: and these deliveries' by a call of ours whose answer was lost.
        self._doubtful = TILES * self._lanes
        self._lost: set[str] = set()

    async def publish(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Publish what the board has not seen, until it has seen everything, or a hop needs room, or not to go on."""
        loop = asyncio.get_running_loop()
        if self._changed is None:
            self._changed = dict.fromkeys(await prefect_runs.opened_hops(self.house))
        before: set[Tile] = set()
        refused: set[str] = set()
        while go_on():
            # Where the board has a server of its own no hop waits for it.
            shared, lately = self.board_client is self.client, loop.time() - self._published < MAKE_WAY_S
            if shared and lately and await board_acts.hops_at_work(self.house):
                return
            self._published = loop.time()
            most = self.house.settings.board_runs
            self._changed |= dict.fromkeys(await board_acts.pass_over(self.house, most))
            tiles = await board_acts.unpublished(self.house, TILES * self._lanes, without=refused, most=most)
            if not tiles:
                if loop.time() - self._told_at >= TELL_AGAIN_S:
                    await self._tell()
                await self._picture()
                return
            # What Prefect does not take is asked again after the pause, and keeps no other waiting.
            refused |= {tile.delivery_id for tile in tiles if tile in before}
            tiles = [tile for tile in tiles if tile.delivery_id not in refused]
            before = set(tiles)
            self._changed |= dict.fromkeys(tile.hop_id for tile in tiles)
            await board_acts.published(self.house, [(tile, tile.run_id, True) for tile in tiles if tile.as_it_stands])
            # Before they are shown: what one call has shown is not looked at again after another has failed.
            self._untold = list(dict.fromkeys([*self._untold, *tiles]))[-UNTOLD:]
            try:
                await _together(
                    [
                        *self._create([tile for tile in tiles if tile.run_id is None]),
                        *self._move([(tile, tile.run_id) for tile in tiles if tile.run_id and not tile.as_it_stands]),
                    ]
                )
            finally:
                # Automations wait for no picture, and the board may have a server of its own that is away.
                await self._tell()

    async def _tell(self) -> None:
        tiles, self._untold = self._untold, []
        self._told_at = asyncio.get_running_loop().time()
        if tiles and self.house.settings.events:
            try:
                new = await events.tell(self.client, tiles, await self.house.clock.now(), self.house.clock.wall())
                await board_acts.told(self.house, new)
            except (PrefectHTTPStatusError, httpx.HTTPError) as fault:
                # Events are for automations; the board and the mail do not wait for them.
                log.warning("events could not be told to Prefect: %s", type(fault).__name__)
                self._untold = tiles

    async def _picture(self) -> None:
        """Renew the artifacts of some changed hops and of their campaigns, now and then and only while idle."""
        loop = asyncio.get_running_loop()
        if not self._changed or loop.time() - self._pictured < PICTURE_EVERY_S:
            return
        self._pictured = loop.time()
        codes: dict[str, str] = {}
        for hop_id in list(self._changed)[:PICTURES]:
            try:
                codes[hop_id] = await self._picture_of(hop_id)
            except (ObjectNotFound, PrefectHTTPStatusError, httpx.HTTPStatusError):
                # Its page is gone: until that is made again it waits behind the others.
                self._changed[hop_id] = self._changed.pop(hop_id)
        # Once for all of them: a campaign's own figures cost as much as it has recipients.
        for code in dict.fromkeys(codes.values()):
            status = (await figures.status(self.house, code))["campaigns"][0]
            if status["flow_run"] is not None:
                await self._artifacts.campaign(status["flow_run"], status)
        # Not before: after a call that failed they are made again.
        for hop_id in codes:
            del self._changed[hop_id]

    async def _picture_of(self, hop_id: str) -> str:
        """Renew a hop's artifacts; the code of its campaign."""
        run = await prefect_runs.run_of_hop(self.house, hop_id)
        page_id = await self.runs.page(hop_id)
        if page_id is not None:
            found = await figures.hop(self.house, hop_id, artifacts.MOST_ROWS)
            await self._artifacts.hop(page_id, run.name.partition(" ")[0], found)
        return run.campaign

    def _create(self, tiles: Sequence[Tile]) -> list[Coroutine[Any, Any, None]]:
        by_hop: dict[str, list[Tile]] = defaultdict(list)
        for tile in tiles:
            by_hop[tile.hop_id].append(tile)
        return [self._create_below(hop_id, members) for hop_id, members in by_hop.items()]

    async def _create_below(self, hop_id: str, members: Sequence[Tile]) -> None:
        async with self._lane:
            try:
                page = await self.runs.page(hop_id)
                if page is None:
                    return
                for start in range(0, len(members), board.CREATE_BATCH):
                    await self._create_batch(page, members[start : start + board.CREATE_BATCH])
            except ObjectNotFound:
                if self.board_client is self.client:
                    log.warning("a deployment is gone in Prefect; it is registered again")
                    self.deployments.void()
                else:
                    # Where it is gone for everybody the relay finds that out by itself.
                    log.warning("the server of CONGVAN_BOARD_API_URL knows no such deployment: is it the same Prefect?")
            except (PrefectHTTPStatusError, httpx.HTTPStatusError):
                log.warning("recipients could not be put on their hop's page; where it is gone it is made again")
                await self.runs.look_for_page(hop_id)

    async def _create_batch(self, run_id: str, members: Sequence[Tile]) -> None:
        parent = await self._folder(run_id, len(members))
        when = {tile.delivery_id: await self._when(tile) for tile in members}
        keys = {tile.delivery_id for tile in members}
        certain = self._doubtful <= 0 and self._lost.isdisjoint(keys)
        self._lost |= keys
        made = await board.create(self.board_client, self.deployments.ids["delivery"], members, run_id, parent, when)
        done = [
            (tile, made[tile.delivery_id], certain and board.shown(tile)[1] == board.born(tile))
            for tile in members
            if tile.delivery_id in made
        ]
        await board_acts.published(self.house, done)
        self._lost -= keys
        self._doubtful -= len(members)
        await self._point([(tile, run) for tile, run, _ in done])
        fresh = [(tile, run) for tile, run, seen in done if not seen]
        for shown, some in _alike(fresh):
            await self._set(shown, some, tagged=certain)

    async def _point(self, made: Sequence[tuple[Tile, str]]) -> None:
        try:
            await board.point(self.board_client, made, self.house.settings.portal_url, self.house.clock.wall())
        except (PrefectHTTPStatusError, httpx.HTTPError) as fault:
            # The state of a recipient does not wait for a link.
            log.warning("links to the operators' pages could not be written: %s", type(fault).__name__)

    async def _folder(self, run_id: str, size: int) -> UUID:
        """The parent of the next recipients on a page: the last one while it has room."""
        known = self._folders[run_id]
        if known and known[-1][1] + size <= board.CREATE_BATCH:
            parent, taken = known[-1]
            known[-1] = (parent, taken + size)
            return parent
        parent = await board.folder(self.board_client, run_id, f"recipients-{len(known) + 1}")
        known.append((parent, size))
        return parent

    async def _when(self, tile: Tile) -> datetime:
        """The deadline, on Prefect's clock: a demo's is as far away as it is in the played time."""
        now, wall = await self.house.clock.now(), self.house.clock.wall()
        return wall + (tile.due_at - now if tile.due_at else timedelta(days=30))

    def _move(self, members: Sequence[tuple[Tile, str]]) -> list[Coroutine[Any, Any, None]]:
        async def move(shown: tuple[StateType, str], some: Sequence[tuple[Tile, str]]) -> None:
            async with self._lane:
                await self._set(shown, some, tagged=False)

        return [move(shown, some) for shown, some in _alike(members)]

    async def _set(self, shown: tuple[StateType, str], some: Sequence[tuple[Tile, str]], *, tagged: bool) -> None:
        """tagged: the runs were made just now, with the name and the tags of this state."""
        taken = await board.move(self.board_client, [run_id for _, run_id in some], *shown, self.house.clock.wall())
        if not tagged:
            await self._relabel([(tile, run_id) for tile, run_id in some if run_id in taken])
        await self._remember(some, taken)

    async def _relabel(self, members: Sequence[tuple[Tile, str]]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def label(tile: Tile, run_id: str) -> None:
            async with gate:
                await board.relabel(self.board_client, run_id, tile)

        await asyncio.gather(*(label(tile, run_id) for tile, run_id in members))

    async def _remember(self, members: Sequence[tuple[Tile, str]], taken: set[str]) -> None:
        # A run that was deleted in Prefect is made again from the database.
        await board_acts.published(
            self.house,
            [(tile, run_id if run_id in taken else None, run_id in taken) for tile, run_id in members],
        )


def _alike(members: Sequence[tuple[Tile, str]]) -> list[tuple[tuple[StateType, str], Sequence[tuple[Tile, str]]]]:
    """By the state in which they are to stand, no more than one call takes."""
    groups: dict[tuple[StateType, str], list[tuple[Tile, str]]] = defaultdict(list)
    for tile, run_id in members:
        groups[board.shown(tile)].append((tile, run_id))
    size = board.STATE_BATCH
    return [
        (shown, group[start : start + size])
        for shown, group in groups.items()
        for start in range(0, len(group), size)
    ]


async def _together(steps: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Take all of them; raise the first fault when all have ended."""
    for ended in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
