// What people enter by themselves: an incident from the hotline, what they write and attach beside it, a request for a grant.
import { expect } from "vitest";

import { testAtDesk as test } from "./console";

/** A red pixel. */
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC", "base64");

test("a_call_becomes_an_incident_with_a_note_and_a_picture", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await page.click('[data-testid="report"]');
  await page.fill("#category", "道路积水");
  await page.keyboard.press("Enter");
  await page.fill("#grid", "340203001002003");
  await page.fill("#text", "路口积水约二十厘米");
  await page.click('[role="dialog"] .ant-btn-primary');
  await page.waitForSelector('article.incident[data-state="reported"]');
  await page.waitForSelector("text=路口积水约二十厘米");
  await page.fill(".notes textarea", "已联系排水单位");
  await page.click('[data-note="comment"]');
  await page.waitForSelector('.timeline [data-action="comment"] >> text=已联系排水单位');
  await page.setInputFiles('[data-testid="attach"]', { name: "proof.png", mimeType: "image/png", buffer: PNG });
  await page.click("[data-attachment] button");
  await page.waitForSelector("[data-attachment] img");
  await desk.picture("entered");
});

test("a_grant_is_asked_for_and_waits_for_two_others", async ({ desk }) => {
  const { page } = desk;
  await desk.signIn();
  await page.waitForSelector("[data-incident]", { timeout: 45_000 });
  const [incident = ""] = await desk.rows();
  await desk.visit("/grants");
  await page.click('[data-testid="ask"]');
  await page.fill("#incident", incident);
  await page.click("#action");
  await page.click('.ant-select-item-option[title="导出"]');
  await page.fill("#reason", "案件材料");
  await page.fill("#from", "2026-01-01T00:00");
  await page.fill("#until", "2026-01-01T01:00");
  await page.click('[role="dialog"] .ant-btn-primary');
  await page.waitForSelector('[data-grant][data-state="requested"] >> text=案件材料');
  expect(await page.isVisible('[data-step="approve"]'), "nobody approves what they asked for").toBe(false);
  await desk.picture("grant");
  await page.click('[data-step="withdraw"]');
  await page.waitForSelector('[data-grant][data-state="withdrawn"]');
});
