import { Ollama } from "ollama";

const [url, model] = process.argv.slice(2);
const client = new Ollama({ host: url });
const names = (await client.list()).models.map((listed) => listed.name);
if (!names.includes(`${model}:latest`)) throw new Error(`${model} is not in ${names}`);
const question = { model, messages: [{ role: "user", content: "Say hello." }], options: { num_predict: 8 } };
const answer = await client.chat(question);
let streamed = "";
for await (const part of await client.chat({ ...question, stream: true })) streamed += part.message.content;
console.log(answer.message.content, "|", streamed);
const refused = await client.show({ model: "nobody-has-this" }).then(() => "no error", (error) => error.message);
if (!refused.includes("nobody-has-this")) throw new Error(`the error for an unknown AI model is "${refused}"`);
