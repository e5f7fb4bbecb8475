import OpenAI from "openai";

const [url, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const question = { model, max_tokens: 8, messages: [{ role: "user", content: "Say hello." }] };
const answer = await client.chat.completions.create(question);
let streamed = "";
for await (const part of await client.chat.completions.create({ ...question, stream: true }))
  streamed += part.choices[0]?.delta?.content ?? "";
console.log(answer.choices[0].message.content, "|", streamed);
