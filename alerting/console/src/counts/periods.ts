// Weeks (ISO 8601) and months as the server writes them, by the day in Beijing.

export const thisWeek = (now: Date): string => weekOf(beijingDay(now));
export const lastWeek = (now: Date): string => weekOf(addDays(beijingDay(now), -7));
export const thisMonth = (now: Date): string => monthOf(beijingDay(now));

export function lastMonth(now: Date): string {
  const day = beijingDay(now);
  return monthOf(addDays(day, -day.getUTCDate()));
}

/** The day in Beijing, as midnight in UTC. */
function beijingDay(now: Date): Date {
  const there = new Date(now.getTime() + 8 * 3_600_000);
  return new Date(Date.UTC(there.getUTCFullYear(), there.getUTCMonth(), there.getUTCDate()));
}

function addDays(day: Date, n: number): Date {
  return new Date(day.getTime() + n * 86_400_000);
}

function monthOf(day: Date): string {
  return day.toISOString().slice(0, 7);
}

/** A week belongs to the year of its Thursday. */
function weekOf(day: Date): string {
  const thursday = addDays(day, 4 - (day.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * 86_400_000));
  return `${year}-W${String(week).padStart(2, "0")}`;
}
