// Times for people: UTC inside, Beijing time shown, ages in one unit. Pure; `now` is a parameter.
import type { Translator } from "./translate";

const ZONE = "Asia/Shanghai";
const UNITS = [
  ["time.day", 86_400],
  ["time.hour", 3_600],
  ["time.minute", 60],
] as const;

/** "3 分钟前"; a time that is slightly ahead, as clocks differ, counts as now. */
export function timeAgo(at: string, now: number, { t }: Pick<Translator, "t">): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(at)) / 1000));
  const [unit, size] = UNITS.find(([, length]) => seconds >= length) ?? (["time.second", 1] as const);
  return t(unit, { n: Math.floor(seconds / size) });
}

/** Clock time, with the date in front unless it is today's in Beijing. */
export function clockTime(at: string, now: number): string {
  const { date, time } = beijing(Date.parse(at));
  return date === beijing(now).date ? time : `${date.slice(5)} ${time}`;
}

/** Date and clock time, for where the day matters. */
export function dateTime(at: string): string {
  const { date, time } = beijing(Date.parse(at));
  return `${date} ${time}`;
}

/** What a date-and-time field holds, read as Beijing time, as a UTC string; null when it holds no time. */
export function fromBeijing(field: string): string | null {
  const at = Date.parse(`${field}+08:00`);
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}

function beijing(at: number): { date: string; time: string } {
  // Swedish writes dates as ISO 8601 does.
  const [date = "", time = ""] = new Date(at).toLocaleString("sv-SE", { timeZone: ZONE }).split(" ");
  return { date, time };
}
