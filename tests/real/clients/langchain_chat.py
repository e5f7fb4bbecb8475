import sys

from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

url, model = sys.argv[1:]
with_ollama = ChatOllama(base_url=url, model=model, num_predict=8, validate_model_on_init=True)
with_openai = ChatOpenAI(base_url=f"{url}/v1", model=model, api_key="none", max_tokens=8)
print(with_ollama.invoke("Say hello.").content, "|", "".join(part.content for part in with_openai.stream("Say hello.")))
