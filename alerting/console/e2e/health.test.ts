// What the page says while a part of the server does not work; the fault is put into the stream inside the browser.
import { testAtDesk as test } from "./console";

interface Trouble {
  part: string;
  detail: string;
}

declare global {
  interface Window {
    tell: (troubles: Trouble[]) => void;
  }
}

test("parts_that_do_not_work_are_named_until_they_work_again", async ({ desk }) => {
  const { page } = desk;
  await page.addInitScript(streamOfOurs);
  await desk.signIn();
  await desk.live();
  await page.evaluate(() => window.tell([{ part: "store", detail: "does not answer" }, { part: "source", detail: "not connected" }]));
  await page.waitForSelector(".trouble-banner >> text=数据库没有应答");
  await page.waitForSelector(".trouble-banner >> text=事件来源中断");
  await desk.picture("trouble");
  await page.evaluate(() => window.tell([]));
  await page.waitForSelector(".trouble-banner", { state: "detached" });
});

/** Runs in the browser before the page: the live stream is one that stays open and says what the test tells it to. */
function streamOfOurs(): void {
  const real = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    if (input !== "/api/v1/stream") return real(input, init);
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        window.tell = (troubles) => stream.enqueue(new TextEncoder().encode(`event: health\ndata: ${JSON.stringify({ troubles })}\n\n`));
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
}
