import sys

import openai

url, model = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
assert model in [listed.id.removesuffix(":latest") for listed in client.models.list()]
question = [{"role": "user", "content": "Say hello."}]
answer = client.chat.completions.create(model=model, messages=question, max_tokens=8)
stream = client.chat.completions.create(model=model, messages=question, max_tokens=8, stream=True)
print(answer.choices[0].message.content, "|", "".join(part.choices[0].delta.content or "" for part in stream if part.choices))
