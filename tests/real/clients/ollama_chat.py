import sys

import ollama

url, model = sys.argv[1:]
client = ollama.Client(host=url)
assert model in [listed.model.removesuffix(":latest") for listed in client.list().models]
assert client.show(model).details.family == "gemma3"
question = [{"role": "user", "content": "Say hello."}]
answer = client.chat(model=model, messages=question, options={"num_predict": 8})
stream = client.generate(model=model, prompt="Say hello.", options={"num_predict": 8}, stream=True)
print(answer.message.content, "|", "".join(part.response for part in stream))
assert model in [listed.model.removesuffix(":latest") for listed in client.ps().models]
try:
    client.show("nobody-has-this")
    sys.exit("no error for an unknown AI model")
except ollama.ResponseError as error:
    assert error.status_code == 404 and "nobody-has-this" in error.error and "{" not in error.error, error.error
