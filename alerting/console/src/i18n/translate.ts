// Strings by key, in the chosen language. Pure: React's side of it is `language.tsx`.
import type { Bilingual } from "../api/types";
import { en } from "./en";
import { zh, type Dictionary, type Key } from "./zh";

export type Language = "zh" | "en";
export type Parameters = Record<string, string | number>;

/** The closed lists of the server whose members have names of their own here. */
export type Group = "state" | "category" | "class" | "value" | "reason" | "role" | "command.field" | "devices.kind" | "devices.state" | "devices.suspended" | "entry" | "action" | "clock" | "clock.state" | "told" | "urgency" | "purpose" | "grant.action" | "grant.state" | "grant.step";

export interface Translator {
  language: Language;
  /** The string of `key` with its `{parameters}` filled in. */
  t: (key: Key, parameters?: Parameters) => string;
  /** A closed value of the server (`state.` + `suspected`); one this console doesn't know yet shows as it came. */
  term: (group: Group, value: string) => string;
  /** The half of a text that the server sends in both languages. */
  pick: (text: Bilingual) => string;
}

export function translator(language: Language): Translator {
  const dictionary: Dictionary = language === "zh" ? zh : en;
  return {
    language,
    t: (key, parameters = {}) => fill(dictionary[key], parameters),
    term: (group, value) => (dictionary as Record<string, string>)[`${group}.${value}`] ?? value,
    pick: (text) => text[language],
  };
}

/** The language a stored or browser setting asks for; Chinese unless English was chosen. */
export function languageOf(stored: string | null): Language {
  return stored === "en" ? "en" : "zh";
}

/** The tag for `<html lang>` and `Intl`. */
export function localeTag(language: Language): string {
  return language === "zh" ? "zh-CN" : "en-GB";
}

function fill(template: string, parameters: Parameters): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = parameters[name];
    return value === undefined ? whole : String(value);
  });
}
