import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { en } from "./en";
import { clockTime, dateTime, fromBeijing, timeAgo } from "./time";
import { languageOf, translator } from "./translate";
import { zh } from "./zh";

const parametersOf = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

describe("dictionaries", () => {
  test("both_languages_have_the_same_keys", () => {
    expect(Object.keys(en).sort()).toEqual(Object.keys(zh).sort());
  });

  test("both_languages_use_the_same_parameters_and_leave_nothing_empty", () => {
    for (const [key, text] of Object.entries(zh)) {
      const english = en[key as keyof typeof zh];
      expect(parametersOf(english), key).toEqual(parametersOf(text));
      expect(text.length * english.length, key).toBeGreaterThan(0);
    }
  });

  test("english_holds_no_chinese", () => {
    for (const [key, text] of Object.entries(en)) expect(text, key).not.toMatch(/\p{Script=Han}/u);
  });
});

describe("closed lists of events", () => {
  test("every_reason_for_which_a_camera_is_suspended_has_a_text_and_no_other_has", () => {
    const texts = Object.keys(zh).filter((key) => key.startsWith("devices.suspended."));
    const expected = reasonsOfSuspension().map((reason) => `devices.suspended.${reason}`);
    expect(expected.length).toBeGreaterThan(0);
    expect(texts.sort()).toEqual(expected.sort());
  });
});

/** As the committed schema of device status events lists them. */
function reasonsOfSuspension(): string[] {
  const file = new URL("../../../../ingest/events/schemas/xueliang.device.status.v1.json", import.meta.url);
  const schema = JSON.parse(readFileSync(file, "utf8")) as StatusSchema;
  const reasons = schema.properties.data.properties.suspended.anyOf.flatMap(({ oneOf }) => oneOf ?? []);
  return reasons.map((reason) => reason.const);
}

interface StatusSchema {
  properties: { data: { properties: { suspended: { anyOf: { oneOf?: { const: string }[] }[] } } } };
}

describe("translator", () => {
  test("parameters_are_filled_and_unknown_ones_stay_visible", () => {
    expect(translator("zh").t("duty.new_items", { n: 3 })).toBe("有 3 条新事件，点击查看");
    expect(translator("en").t("duty.new_items")).toBe("{n} new, click to show");
  });

  test("term_that_is_not_known_shows_as_it_came", () => {
    expect(translator("en").term("category", "crowding")).toBe("Crowding");
    expect(translator("en").term("category", "hail")).toBe("hail");
  });

  test.each([[null, "zh"], ["en", "en"], ["zh", "zh"], ["fr", "zh"]])("language_of_%s_is_%s", (stored, language) => {
    expect(languageOf(stored)).toBe(language);
  });
});

describe("times", () => {
  const now = Date.parse("2026-03-01T16:30:00Z");

  test.each([
    ["2026-03-01T16:30:04Z", "0 秒前", "0 s ago"],
    ["2026-03-01T16:29:01Z", "59 秒前", "59 s ago"],
    ["2026-03-01T16:29:00Z", "1 分钟前", "1 min ago"],
    ["2026-03-01T14:30:01Z", "1 小时前", "1 h ago"],
    ["2026-02-27T16:30:00Z", "2 天前", "2 d ago"],
  ])("age_of_%s", (at, chinese, english) => {
    expect(timeAgo(at, now, translator("zh"))).toBe(chinese);
    expect(timeAgo(at, now, translator("en"))).toBe(english);
  });

  test("clock_time_is_beijing_and_names_the_day_only_when_it_is_another", () => {
    expect(clockTime("2026-03-01T16:29:59Z", now)).toBe("00:29:59");
    expect(clockTime("2026-03-01T15:59:59Z", now)).toBe("03-01 23:59:59");
    expect(dateTime("2026-03-01T16:00:00.250Z")).toBe("2026-03-02 00:00:00");
  });

  test("field_in_beijing_time_becomes_utc", () => {
    expect(fromBeijing("2026-03-02T00:30")).toBe("2026-03-01T16:30:00.000Z");
    expect(fromBeijing("")).toBeNull();
  });
});
