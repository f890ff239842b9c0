// Times as people read them. Pure: what is now is an argument.

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "full" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "medium" });

/** A span of milliseconds. */
export function spanShown(ms) {
  const seconds = Math.floor(ms / 1000);
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (seconds < 10) return `${Number((ms / 1000).toFixed(1))} s`;
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86400)}d ${Math.floor((seconds % 86400) / 3600)}h`;
}

/** How long ago a time of the server was. */
export function agoShown(time, wall) {
  const then = Date.parse(time);
  return Number.isNaN(then) ? String(time) : `${spanShown(Math.max(0, wall - then))} ago`;
}

/** The time of day. */
export function timeShown(wall) {
  return TIME.format(wall);
}

/** A number for each day. */
export function dayOf(wall) {
  const date = new Date(wall);
  return (date.getFullYear() * 12 + date.getMonth()) * 31 + date.getDate();
}

/** The day, for the line between two. */
export function dayShown(wall) {
  return DAY.format(wall);
}

/** Both. */
export function momentShown(wall) {
  return MOMENT.format(wall);
}

/** What a number of samples says together: half, and 99 of 100, took no longer. */
export function summary(samples) {
  if (samples.length === 0) return null;
  const sorted = [...samples].sort((a, b) => a - b);
  const part = (percent) => sorted[Math.ceil((sorted.length * percent) / 100) - 1];
  return { count: sorted.length, p50: part(50), p99: part(99) };
}
