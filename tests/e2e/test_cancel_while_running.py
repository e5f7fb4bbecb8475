"""A client leaves while its work runs: the request at the service ends, and the turn is free."""
import asyncio

import openai


def test_the_service_is_told_and_the_turn_is_given_back(house):
    house.open({"chat": house.fake("chat", run_ms=20000), "voice": house.fake("voice", "8GiB")})
    client = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")

    client.hang_up()

    house.wait_for_journal("cut", "chat")  # long before the 20 s are over
    assert house.ask("voice") == "answer of voice"
    house.wait_until_quiet()


def test_a_stream_that_is_read_no_further_ends_at_the_service(house):
    house.open({"chat": house.fake("chat", run_ms=20000)})

    async def read_a_word_and_go():
        async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0) as client:
            task = asyncio.create_task(client.chat.completions.create(model="chat", messages=[], stream=True))
            while not any(row[0] == "start" for row in house.journal()):
                await asyncio.sleep(0.01)
            task.cancel()

    asyncio.run(read_a_word_and_go())

    house.wait_for_journal("cut", "chat")
    house.wait_until_quiet()
