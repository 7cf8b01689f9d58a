import { describe, expect, test } from "vitest";

import { SseParser } from "./sse";

const WIRE = 'id: 7\nevent: incident\ndata: {"a":1}\n\n: heartbeat\n\nid: 8\ndata: x\ndata: y\n\n';
const MESSAGES = [
  { event: "incident", data: '{"a":1}', lastEventId: "7" },
  { event: "message", data: "x\ny", lastEventId: "8" },
];

describe("SseParser", () => {
  test.each([1, 2, 3, 7, 1000])("cut_into_%d_byte_chunks_gives_the_same_messages", (size) => {
    for (const wire of [WIRE, WIRE.replaceAll("\n", "\r\n"), WIRE.replaceAll("\n", "\r") + "\n"]) {
      const parser = new SseParser();
      const messages = [];
      for (let at = 0; at < wire.length; at += size) messages.push(...parser.push(wire.slice(at, at + size)));
      expect(messages).toEqual(MESSAGES);
    }
  });

  test("id_survives_messages_without_one", () => {
    const messages = new SseParser("41").push("data: a\n\nid: 42\ndata: b\n\ndata: c\n\n");
    expect(messages.map((message) => message.lastEventId)).toEqual(["41", "42", "42"]);
  });

  test("comment_and_unknown_field_are_ignored", () => {
    expect(new SseParser().push(":\nretry: 10\nfoo\n\n")).toEqual([]);
  });
});
