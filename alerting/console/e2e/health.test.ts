// What the page says while a part of the server does not work; the fault is put into the stream on its way to the browser.
import { testAtDesk as test } from "./console";

const health = (troubles: { part: string; detail: string }[]) => `event: health\ndata: ${JSON.stringify({ troubles })}\n\n`;

test("parts_that_do_not_work_are_named_until_they_work_again", async ({ desk }) => {
  const { page } = desk;
  let said = health([
    { part: "store", detail: "does not answer" },
    { part: "source", detail: "not connected" },
  ]);
  await page.route("**/api/v1/stream", (route) => route.fulfill({ contentType: "text/event-stream", body: `retry: 1\n\n${said}` }));
  await desk.signIn();
  await page.waitForSelector(".trouble-banner >> text=数据库没有应答");
  await page.waitForSelector(".trouble-banner >> text=事件来源中断");
  await desk.picture("trouble");
  said = health([]);
  await page.unroute("**/api/v1/stream");
  await desk.live();
  await page.waitForSelector(".trouble-banner", { state: "detached" });
});
