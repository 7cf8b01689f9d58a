import { expect, test } from "vitest";

import { again, firstRound, followed } from "./rounds";

const first = firstRound("a", 1);

test("opening_a_page_and_choosing_something_else_are_a_persons_doing", () => {
  expect(first.byItself).toBe(false);
  expect(followed(first, "b", 1)).toEqual({ key: "b", epoch: 1, byItself: false });
  expect(followed(first, "b", 2).byItself, "also when the stream comes back in the same moment").toBe(false);
  expect(followed(again(first, true), "b", 1).byItself, "also after the page did something by itself").toBe(false);
});

test("a_stream_that_comes_back_is_nobodys_doing", () => {
  expect(followed(first, "a", 2)).toEqual({ key: "a", epoch: 2, byItself: true });
});

test("nothing_new_is_no_new_round_and_asking_again_is_one", () => {
  expect(followed(first, "a", 1)).toBe(first);
  for (const byItself of [true, false]) {
    const next = again(again(first, !byItself), byItself);
    expect(next).toEqual({ key: "a", epoch: 1, byItself });
    expect(again(next, byItself)).not.toBe(next);
  }
});
