"""Reading many properties of one BACnet device: several at once where it can, as many as fit, else one by one.

A device says in its own words what it cannot: an answer too long for it halves the question, a service that it does not
know is not asked for again. What is refused of one object makes that object's values bad and no other's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bacpypes3.apdu import ErrorRejectAbortNack, ReadPropertyMultipleRequest, ReadPropertyRequest
from bacpypes3.basetypes import PropertyIdentifier, PropertyReference, ReadAccessSpecification
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import ObjectIdentifier

from edge.config.profiles.bacnet import RELIABILITY, STATUS_FLAGS, BacnetPoint, numbers_of
from edge.contract.types import Quality, Value
from edge.drivers.bacnet_client import Client, reason
from edge.drivers.bacnet_values import Flags, NoValueError, answer_of, flags_of, plain
from edge.ports import Answer

Ref = tuple[int, int, int, int | None]
"""Object type, instance, property, array index."""
Said = Mapping[Ref, Any]
"""What a device said: an ``Any`` or a ``Refused`` for each property."""
TOO_LONG = frozenset({"buffer-overflow", "segmentation-not-supported", "apdu-too-long", "out-of-resources"})


class Refused(Exception):
    """The device refused, in the standard's word."""


class Reading:
    """Reads from one device; remembers how much it takes at once."""

    def __init__(self, client: Client, address: Address, *, multiple: bool, properties_max: int) -> None:
        self._client = client
        self._address = address
        self.multiple = multiple
        self.properties_max = properties_max

    async def read(self, refs: Sequence[Ref]) -> dict[Ref, Any]:
        """An ``Any`` or a ``Refused`` for each of ``refs``. Raises ``SilentError``."""
        found: dict[Ref, Any] = {}
        waiting = list(dict.fromkeys(refs))
        while waiting:
            some = waiting[: self.properties_max] if self.multiple else waiting[:1]
            if len(some) > 1:
                if not await self._read_several(some, found):
                    continue
            else:
                found[some[0]] = await self._read_one(some[0])
            del waiting[: len(some)]
        return found

    async def _read_several(self, refs: Sequence[Ref], found: dict[Ref, Any]) -> bool:
        """Whether that was an answer; if not, what is possible at once has changed."""
        try:
            acknowledged = await self._client.ask(_question(self._address, refs))
        except ErrorRejectAbortNack as error:
            if reason(error) in TOO_LONG:
                self.properties_max = max(1, len(refs) // 2)
                return False
            if reason(error) == "unrecognized-service":
                self.multiple = False
                return False
            for ref in refs:  # Some devices refuse the whole for one of them.
                found[ref] = await self._read_one(ref)
            return True
        said = said_by(acknowledged)
        for ref in refs:
            found[ref] = said[ref] if ref in said else Refused("left out of the answer")
        return True

    async def _read_one(self, ref: Ref) -> Any:
        kind, instance, number, index = ref
        request = ReadPropertyRequest(
            objectIdentifier=ObjectIdentifier((kind, instance)), propertyIdentifier=PropertyIdentifier(number),
            destination=self._address,
        )  # fmt: skip
        if index is not None:
            request.propertyArrayIndex = index
        try:
            return (await self._client.ask(request)).propertyValue
        except ErrorRejectAbortNack as error:
            return Refused(reason(error))


def ref_of(point: BacnetPoint) -> Ref:
    return (*numbers_of(point), point.index)


def answer_in(said: Said, point: BacnetPoint) -> Answer:
    """What ``said`` means for ``point``, whose property is in it; with its object's status flags where they are."""
    ref = ref_of(point)
    raw = said[ref]
    if isinstance(raw, Refused):
        return Answer(None, Quality.BAD_DEVICE, str(raw))
    try:
        value = plain(raw)
    except NoValueError as error:
        return Answer(None, error.quality, str(error))
    reliability = value_or_none(said.get((*ref[:2], RELIABILITY, None)))
    number = reliability if isinstance(reliability, int) else None
    return answer_of(point, value, flags_in(said, ref[:2]), number)


def flags_in(said: Said, key: tuple[int, int]) -> Flags | None:
    """The status flags of an object, None where they were not said."""
    raw = said.get((*key, STATUS_FLAGS, None))
    return None if raw is None or isinstance(raw, Refused) else flags_of(raw)


def value_or_none(raw: Any) -> Value | list[int]:
    """The plain value, None where there is none."""
    if raw is None or isinstance(raw, Refused):
        return None
    try:
        return plain(raw)
    except NoValueError:
        return None


def _question(address: Address, refs: Sequence[Ref]) -> ReadPropertyMultipleRequest:
    by_object: dict[tuple[int, int], list[Any]] = {}
    for kind, instance, number, index in refs:
        reference = PropertyReference(propertyIdentifier=PropertyIdentifier(number))
        if index is not None:
            reference.propertyArrayIndex = index
        by_object.setdefault((kind, instance), []).append(reference)
    return ReadPropertyMultipleRequest(
        listOfReadAccessSpecs=[
            ReadAccessSpecification(objectIdentifier=ObjectIdentifier(key), listOfPropertyReferences=references)
            for key, references in by_object.items()
        ],
        destination=address,
    )


def said_by(acknowledged: Any) -> dict[Ref, Any]:
    """The properties in an acknowledged ReadPropertyMultiple: an ``Any`` or a ``Refused`` each."""
    said: dict[Ref, Any] = {}
    for result in acknowledged.listOfReadAccessResults:
        kind, instance = result.objectIdentifier
        for element in result.listOfResults or ():
            index = element.propertyArrayIndex
            ref = (int(kind), int(instance), int(element.propertyIdentifier), None if index is None else int(index))
            error = element.readResult.propertyAccessError
            said[ref] = element.readResult.propertyValue if error is None else Refused(str(error.errorCode))
    return said
