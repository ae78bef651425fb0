/** After so long at the latest the collector is asked; what is opened meanwhile is forgotten with it. */
const FORGET_MS = 100;
/** What the collector finds dead is freed in turns of the event loop, which may leave more for it to find. */
const TURNS = 3;

let pending: NodeJS.Timeout | undefined;

/**
 * Has the collector free, within some tenths of a second, what was opened and dropped.
 *
 * What this process holds of keys it overwrites itself. The crypto library's objects it cannot: those are cleared when they are
 * freed, and nothing else would free them for minutes. Needs `--expose-gc`; does nothing without.
 */
export function forgetSoon(): void {
  if (globalThis.gc === undefined || pending !== undefined) return;
  pending = setTimeout(() => {
    pending = undefined;
    collect(TURNS);
  }, FORGET_MS);
}

function collect(turns: number): void {
  globalThis.gc?.();
  if (turns > 1) setImmediate(collect, turns - 1);
}
