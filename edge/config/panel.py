"""What an operator sees and presses: the table ``[panel]`` of the site file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from edge.config.profiles.signal import Strict

I2C_GPIO = (2, 3)
"""SDA and SCL of I2C bus 1: taken wherever there is a display."""

_Pin = Annotated[int, Meta(ge=0, le=27)]
_Address = Annotated[int, Meta(ge=3, le=119)]


class Panel(Strict, frozen=True, kw_only=True):
    """Lamps, buzzer, buttons and display. Pins without a default are not wired unless they are named.

    Outputs are active high, for the input of a relay or transistor board; a button connects its pin to ground.
    """

    kind: Annotated[
        Literal["none", "terminal", "png", "pi"],
        Meta(description="Nothing, a Raspberry Pi's pins and I2C, drawn to a PNG file, or drawn in the terminal."),
    ] = "none"
    display: Annotated[
        Literal["16x2", "20x4", "128x64", "none"],
        Meta(description="Columns by rows of characters (HD44780), or 128 by 64 dots (SSD1306 or SH1106)."),
    ] = "20x4"
    controller: Annotated[Literal["ssd1306", "sh1106"], Meta(description="That of a display of 128 by 64 dots.")] = (
        "ssd1306"
    )
    png_path: Annotated[str, Meta(description="Where `png` draws, relative to the site file.")] = "panel.png"
    green_gpio: Annotated[_Pin, Meta(description="BCM pin of the green lamp.")] = 17
    amber_gpio: Annotated[_Pin, Meta(description="BCM pin of the amber lamp.")] = 27
    red_gpio: Annotated[_Pin, Meta(description="BCM pin of the red lamp.")] = 22
    blue_gpio: Annotated[_Pin | None, Meta(description="BCM pin of the blue lamp.")] = None
    buzzer_gpio: Annotated[_Pin | None, Meta(description="BCM pin of the buzzer, one that sounds by itself.")] = None
    acknowledge_gpio: Annotated[_Pin | None, Meta(description="BCM pin of the button that acknowledges.")] = None
    page_gpio: Annotated[_Pin | None, Meta(description="BCM pin of the button that turns the page.")] = None
    silence_gpio: Annotated[_Pin | None, Meta(description="BCM pin of the button that silences the buzzer.")] = None
    test_gpio: Annotated[_Pin | None, Meta(description="BCM pin of the button for the lamp test.")] = None
    buzzer: Annotated[bool, Meta(description="Whether alarms of high priority sound.")] = True
    i2c_address: Annotated[
        _Address | None,
        Meta(description="The display's address on I2C bus 1; 0x27 for characters and 0x3c for dots by default."),
    ] = None

    @property
    def address(self) -> int:
        """The display's, with its default filled in."""
        if self.i2c_address is not None:
            return self.i2c_address
        return 0x3C if self.display == "128x64" else 0x27

    def pins(self) -> dict[str, int]:
        """The wired pins by key."""
        keys = [key for key in self.__struct_fields__ if key.endswith("_gpio")]
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What cannot be: key, problem and hint each."""
        if self.kind != "pi":
            return
        seen = dict.fromkeys(I2C_GPIO, "the display's I2C bus") if self.display != "none" else {}
        for key, pin in self.pins().items():
            if pin in seen:
                yield key, f"pin {pin} is taken by {seen[pin]}", "give each a pin of its own"
            seen.setdefault(pin, f"`{key}`")
