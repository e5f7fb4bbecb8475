"""A Wyoming speech service on the protocol's own Python package.   real_wyoming_server.py --uri tcp://127.0.0.1:N"""
import argparse
import asyncio

from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.server import AsyncEventHandler, AsyncServer

ATTRIBUTION = {"attribution": Attribution(name="mgpu", url="http://localhost"), "installed": True, "description": None,
               "version": "1"}
INFO = Info(tts=[TtsProgram(name="voice", voices=[TtsVoice(name="en", languages=["en"], **ATTRIBUTION)], **ATTRIBUTION)])


class DescribeHandler(AsyncEventHandler):
    async def handle_event(self, event: Event) -> bool:
        if Describe.is_type(event.type):
            await self.write_event(INFO.event())
        return True


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--uri", required=True)
    asyncio.run(AsyncServer.from_uri(options.parse_args().uri).run(DescribeHandler))


if __name__ == "__main__":
    main()
