import { keystoreErrors } from './errors.ts';

/** Requests about one tenant that are worked on at once. */
export const MOST_OF_TENANT = 2;
/** So many more of it wait for that; what comes then is told to come again. */
export const MOST_WAITING = 4;

/** Does work about a tenant when it is its turn. @throws keystore.busy where too much of that tenant waits already */
export type InTurn = <T>(tenantUid: string, work: () => Promise<T>) => Promise<T>;

type Line = { running: number; readonly waiting: (() => void)[] };

/** Lets no tenant take more than its part of what the keystore does at once. */
export function createTurns(): InTurn {
  const lines = new Map<string, Line>();
  return async (tenantUid, work) => {
    const line = lines.get(tenantUid) ?? { running: 0, waiting: [] };
    if (line.waiting.length >= MOST_WAITING) throw keystoreErrors.busy();
    lines.set(tenantUid, line);
    if (line.running < MOST_OF_TENANT) line.running++;
    else await new Promise<void>((resolve) => void line.waiting.push(resolve));
    try {
      return await work();
    } finally {
      // The turn goes to who waits longest.
      const next = line.waiting.shift();
      if (next) next();
      else if (--line.running === 0) lines.delete(tenantUid);
    }
  };
}
