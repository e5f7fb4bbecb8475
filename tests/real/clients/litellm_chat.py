import sys

import litellm

url, model = sys.argv[1:]
question = [{"role": "user", "content": "Say hello."}]
answers = [litellm.completion(model=f"{kind}/{model}", api_base=base, api_key="none", messages=question, max_tokens=8)
           for kind, base in (("openai", f"{url}/v1"), ("ollama", url), ("ollama_chat", url))]
print(" | ".join(answer.choices[0].message.content for answer in answers))
