"""Our end of a BACnet/IP network over bacpypes3: asks, subscribes, hears notifications, and serves nobody.

The datagrams are our own. bacpypes3's server tries for ever to bind an address that cannot be had, shares its port with
any other program (SO_REUSEPORT: each then hears half of the answers), takes every 127.x address of its own port for
itself, and makes a task of every datagram. Here what cannot be bound is a ``LineError``, and a flood is dropped beyond
``DATAGRAMS_MAX``.

Of its services only those that BACnet expects of a client are left: it says who it is and lets its device object be
read. It can be neither written to, silenced, nor subscribed to. No I-Am is kept but those that are waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

from bacpypes3.apdu import (
    ConfirmedCOVNotificationRequest,
    ErrorRejectAbortNack,
    IAmRequest,
    SimpleAckPDU,
    UnconfirmedCOVNotificationRequest,
    WhoIsRequest,
)
from bacpypes3.app import Application, DeviceInfoCache
from bacpypes3.appservice import ApplicationServiceAccessPoint
from bacpypes3.basetypes import Segmentation
from bacpypes3.comm import Server, bind
from bacpypes3.errors import ServicesError, UnrecognizedService
from bacpypes3.ipv4.bvll import BVLLCodec
from bacpypes3.ipv4.service import BIPForeign, BIPNormal, UDPMultiplexer
from bacpypes3.local.device import DeviceObject
from bacpypes3.netservice import NetworkServiceAccessPoint, NetworkServiceElement
from bacpypes3.pdu import PDU, Address, GlobalBroadcast, IPv4Address, LocalBroadcast

from edge.config.lines import Bacnet
from edge.datagrams import bound
from edge.errors import LineError

PORT_HINT = "is `interface` an address of this machine, and does no other BACnet program use the port?"
DATAGRAMS_MAX = 256
REQUESTS_MAX, REQUESTS_OF_ONE_MAX = 256, 16
SEGMENTS_MAX = 16
APDU_BYTES_MAX = 1476
VENDOR = 999
"""Of the numbers that ASHRAE has set aside: none was assigned to us."""
_UNREGISTERED = -2

Notified = Callable[[Address, int, tuple[int, int], list[Any]], bool]
"""Called with source, process id, object and list of ``PropertyValue``; False where nobody subscribed to that."""


class SilentError(Exception):
    """No answer; in words."""


class Client(Application):  # type: ignore[misc]
    """``notified`` and ``announced`` (device instance, address) are told what comes by itself."""

    def __init__(self, line: Bacnet) -> None:
        super().__init__(device_info_cache=DeviceInfoCache())
        self._line = line
        self._give_up_s = line.timeout_ms / 1000 * (line.retries + 1) + 1.0
        self._awaited: dict[int, asyncio.Future[Any]] = {}
        self._datagrams: _Datagrams | None = None
        self._foreign: BIPForeign | None = None
        self.notified: Notified = lambda *_: False
        self.announced: Callable[[int], None] = lambda _: None

    async def open(self) -> None:
        """Bind the addresses. Raises ``LineError``."""
        line = self._line
        address = IPv4Address(f"{line.interface}:{line.port}")
        device = DeviceObject(
            objectIdentifier=("device", line.device_instance), objectName=f"babbitt-{line.device_instance}",
            vendorIdentifier=VENDOR, maxApduLengthAccepted=APDU_BYTES_MAX, maxSegmentsAccepted=SEGMENTS_MAX,
            segmentationSupported=Segmentation.segmentedBoth, apduTimeout=line.timeout_ms,
            numberOfApduRetries=line.retries, apduSegmentTimeout=line.timeout_ms,
        )  # fmt: skip
        self._datagrams = _Datagrams(address, broadcasts=not line.bbmd)
        # What anybody may send must not fill the log: bacpypes3 writes a traceback for each datagram that is none.
        logging.getLogger("bacpypes3").setLevel(logging.CRITICAL)
        self.asap = _FewRequests(device, self.device_info_cache)
        self.nsap = NetworkServiceAccessPoint()
        self.nse = NetworkServiceElement()
        bind(self.nse, self.nsap)
        bind(self, self.asap, self.nsap)
        link, multiplexer = BIPForeign() if line.bbmd else BIPNormal(), UDPMultiplexer()
        bind(link, BVLLCodec(), multiplexer.annexJ)
        bind(multiplexer, self._datagrams)
        self.nsap.bind(link, address=address)
        self.add_object(device)
        if line.bbmd:
            self._foreign = link
            self._register()

    async def close(self) -> None:
        if self._foreign is not None:
            self._foreign.unregister()
            await asyncio.sleep(0)  # It says so in a task.
            self._foreign = None
        if self._datagrams is not None:
            await self._datagrams.close()
            self._datagrams = None

    async def ask(self, request: Any) -> Any:
        """The acknowledgement of a confirmed request. Raises ``ErrorRejectAbortNack``, or ``SilentError``."""
        try:
            async with asyncio.timeout(self._give_up_s):
                return await self.request(request)
        except TimeoutError:
            raise SilentError(f"no answer within {self._give_up_s:g} s") from None
        except ErrorRejectAbortNack as error:
            if reason(error) == "no-response":
                raise SilentError(f"no answer within {self._line.timeout_ms * (self._line.retries + 1)} ms") from None
            raise

    async def find(self, instance: int, at: str) -> Address:
        """Where device ``instance`` is: asked for by Who-Is, or ``at``. Raises ``SilentError``."""
        if at:
            return Address(at)
        self._register()
        waiting = self._awaited[instance] = asyncio.get_running_loop().create_future()
        try:
            for _ in range(self._line.retries + 1):
                # A Who-Is has no answer of its own to wait for.
                self.request(
                    WhoIsRequest(
                        deviceInstanceRangeLowLimit=instance, deviceInstanceRangeHighLimit=instance,
                        destination=GlobalBroadcast(),
                    )
                )  # fmt: skip
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._line.timeout_ms / 1000):
                        i_am = await asyncio.shield(waiting)
                        await self.device_info_cache.set_device_info(i_am)
                        return i_am.pduSource
        finally:
            self._awaited.pop(instance, None)
            waiting.cancel()
        lost = self._foreign is not None and self._foreign.bbmdRegistrationStatus != 0
        why = f"; the BBMD {self._line.bbmd} does not register the gateway" if lost else ""
        raise SilentError(f"no device {instance} answered who-is{why}")

    def _register(self) -> None:
        """Register at the BBMD, unless that is under way or done: bacpypes3 gives up once one has expired."""
        if self._foreign is not None and self._foreign.bbmdRegistrationStatus == _UNREGISTERED:
            at = self._line.bbmd if ":" in self._line.bbmd else f"{self._line.bbmd}:47808"
            self._foreign.register(IPv4Address(at), self._line.bbmd_ttl_s)

    async def do_IAmRequest(self, apdu: IAmRequest) -> None:  # noqa: N802
        instance = int(apdu.iAmDeviceIdentifier[1])
        waiting = self._awaited.get(instance)
        if waiting is None:
            self.announced(instance)
        elif not waiting.done():
            waiting.set_result(apdu)

    async def do_ConfirmedCOVNotificationRequest(self, apdu: ConfirmedCOVNotificationRequest) -> None:  # noqa: N802
        if not self._notify(apdu):
            raise ServicesError(errorCode="unknownSubscription")
        await self.response(SimpleAckPDU(context=apdu))

    async def do_UnconfirmedCOVNotificationRequest(self, apdu: UnconfirmedCOVNotificationRequest) -> None:  # noqa: N802
        self._notify(apdu)

    def _notify(self, apdu: Any) -> bool:
        kind, instance = apdu.monitoredObjectIdentifier
        process = int(apdu.subscriberProcessIdentifier)
        return self.notified(apdu.pduSource, process, (int(kind), int(instance)), list(apdu.listOfValues))

    async def _refuse(self, apdu: Any) -> None:  # noqa: ARG002
        raise UnrecognizedService("this device is a client")

    do_WritePropertyRequest = do_WritePropertyMultipleRequest = do_SubscribeCOVRequest = _refuse  # noqa: N815
    do_SubscribeCOVPropertyRequest = do_DeviceCommunicationControlRequest = do_ReinitializeDeviceRequest = _refuse  # noqa: N815
    do_ReadRangeRequest = do_AddListElementRequest = do_RemoveListElementRequest = _refuse  # noqa: N815


class _FewRequests(ApplicationServiceAccessPoint):  # type: ignore[misc]
    """Whoever begins long requests and never ends them takes up so much and no more."""

    async def confirmation(self, pdu: PDU) -> None:
        if pdu.pduData and pdu.pduData[0] >> 4 == 0:
            of_one = sum(begun.pdu_address == pdu.pduSource for begun in self.serverTransactions)
            if of_one >= REQUESTS_OF_ONE_MAX or len(self.serverTransactions) >= REQUESTS_MAX:
                return
        await super().confirmation(pdu)


class _Datagrams(Server, asyncio.DatagramProtocol):  # type: ignore[misc]
    """The sockets: ours alone, and one for the network's broadcasts, which programs of one machine may share."""

    def __init__(self, address: IPv4Address, *, broadcasts: bool) -> None:
        super().__init__()
        self._ours: tuple[str, int] = address.addrTuple
        self._broadcast: tuple[str, int] = address.addrBroadcastTuple
        self._queue: asyncio.Queue[tuple[bytes, tuple[str, int], Any]] = asyncio.Queue(DATAGRAMS_MAX)
        self.dropped = 0
        self._own = bound(self._ours, shared=False, hint=PORT_HINT)
        self._all: socket.socket | None = None
        loop = asyncio.get_running_loop()
        try:
            if broadcasts:
                self._all = bound(self._broadcast, shared=True, hint=PORT_HINT)
        except LineError:
            self._own.close()
            raise
        loop.add_reader(self._own, self._readable, self._own, IPv4Address(self._ours))
        if self._all is not None:
            loop.add_reader(self._all, self._readable, self._all, LocalBroadcast())
        self._pump = loop.create_task(self._hand_up_forever(), name="babbitt.bacnet")

    async def indication(self, pdu: PDU) -> None:
        to = pdu.pduDestination
        if isinstance(to, LocalBroadcast):
            where = self._broadcast
        else:
            where = (to if isinstance(to, IPv4Address) else IPv4Address(to)).addrTuple
        with contextlib.suppress(OSError):  # What cannot be sent is not answered.
            self._own.sendto(pdu.pduData, where)

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        for one in (self._own, self._all):
            if one is not None and one.fileno() >= 0:
                loop.remove_reader(one)
                one.close()
        self._pump.cancel()
        await asyncio.wait({self._pump})

    def _readable(self, one: socket.socket, destination: Any) -> None:
        try:
            data, source = one.recvfrom(2048)
        except OSError:
            return
        if source == self._ours:
            return
        try:
            self._queue.put_nowait((data, source, destination))
        except asyncio.QueueFull:
            self.dropped += 1

    async def _hand_up_forever(self) -> None:
        while True:
            data, source, destination = await self._queue.get()
            try:
                await self.response(PDU(data, source=IPv4Address(source), destination=destination))
            except Exception as error:  # noqa: BLE001  # bacpypes3 raises of any kind for datagrams that are none
                logging.getLogger("babbitt.bacnet").debug("datagram of %s: %r", source, error)


def reason(error: ErrorRejectAbortNack) -> str:
    """The standard's word for an error, reject or abort, as ``unknown-object``."""
    code = getattr(error, "errorCode", None)
    if code is None:
        code = getattr(error, "apduAbortRejectReason", None)
    return str(code)
