"""A client disconnects while its job runs: the request at the service is cancelled and the turn is free."""
import asyncio

import openai


def test_the_service_is_told_and_the_turn_is_given_back(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=20000), "voice": harness.fake_consumer("voice", "8GiB")})
    client = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")

    client.close()

    harness.wait_for_service_journal("cut", "chat")  # long before the 20 s are over
    assert harness.chat("voice") == "answer of voice"
    harness.wait_until_quiet()


def test_a_stream_that_is_read_no_further_ends_at_the_service(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=20000)})

    async def read_a_word_and_go():
        async with openai.AsyncOpenAI(base_url=f"{harness.url}/v1", api_key="none", max_retries=0) as client:
            task = asyncio.create_task(client.chat.completions.create(model="chat", messages=[], stream=True))
            while not any(row[0] == "start" for row in harness.service_journal()):
                await asyncio.sleep(0.01)
            task.cancel()

    asyncio.run(read_a_word_and_go())

    harness.wait_for_service_journal("cut", "chat")
    harness.wait_until_quiet()
