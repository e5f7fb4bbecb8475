// Chromium opens what llama.cpp's server shows of itself, through the daemon; a script of that page asks the AI model.
import { chromium } from "playwright-core";

const [url, consumer, model] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage();
  const opened = await page.goto(`${url}/c/${consumer}/props`, { waitUntil: "domcontentloaded" });
  if (opened.status() !== 200) throw new Error(`the page has status ${opened.status()}`);
  const answer = await page.evaluate(async ([address, name]) => {
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ model: name, max_tokens: 8, messages: [{ role: "user", content: "Say hello." }] }),
    });
    return (await response.json()).choices[0].message.content;
  }, [`${url}/c/${consumer}/v1/chat/completions`, model]);
  console.log(answer);
} finally {
  await browser.close();
}
