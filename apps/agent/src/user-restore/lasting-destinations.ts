import { type Ordinal, parseRecordHeader, type ReadableDestination } from '@holdfast/archive';
import { destinationErrors } from '../destinations/errors.ts';

/** The destinations that are open at this moment, and what opens them where none is. */
export type OpenDestinations = {
  readonly destinations: { sessions(): readonly ReadableDestination[] };
  readonly protector: { reach(): Promise<void> };
};

const triesWithoutRecord = 4;

/**
 * The destinations that are open now, as long as somebody reads: a pass that fails closes their sessions, and the next
 * one opens others. What was not read when that happened is asked of the session that is open then.
 *
 * @throws destinations.interrupted, while reading, where a destination is not there again
 */
export function lastingDestinations(open: OpenDestinations): readonly ReadableDestination[] {
  return open.destinations.sessions().map(({ name }) => ({
    name,
    read: (ordinals, signal) => readOn(open, { name, ordinals }, signal),
    locate: async (ordinals) => (await (await openSession(open, name)).locate?.(ordinals)) ?? [],
  }));
}

async function openSession(open: OpenDestinations, name: string): Promise<ReadableDestination> {
  await open.protector.reach();
  const session = sessionOf(open, name);
  if (!session) throw destinationErrors.interrupted({ destination: name });
  return session;
}

function sessionOf({ destinations }: OpenDestinations, name: string): ReadableDestination | undefined {
  return destinations.sessions().find((each) => each.name === name);
}

async function* readOn(
  open: OpenDestinations,
  { name, ordinals }: { readonly name: string; readonly ordinals: readonly Ordinal[] },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const left = new Set(ordinals);
  for (let tries = 1; ; tries++) {
    const session = await openSession(open, name);
    try {
      for await (const record of session.read([...left], signal)) {
        left.delete(parseRecordHeader(record).ordinal);
        tries = 0;
        yield record;
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      // A session that is open still failed by itself.
      if (sessionOf(open, name) === session || tries >= triesWithoutRecord) throw error;
    }
  }
}
