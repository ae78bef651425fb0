import type { AgentParts } from '../agent.ts';
import { pathToText } from '../browse/path-text.ts';
import { setErrors } from '../sets/errors.ts';
import { type VerifyProgress, verifyDestination } from '../verify/verify-destination.ts';
import { standingsOf } from './answer-status.ts';
import type { Asking } from './requests.ts';
import { throttled } from './throttled.ts';

/** `backup`: a whole pass now, with progress. One pass sees all sets; `set` chooses whose standing is told after it. */
export async function answerBackup(
  parts: AgentParts,
  { set }: { set?: string | undefined },
  asking: Asking,
): Promise<object> {
  const { database, protector, clock } = parts;
  if (set !== undefined && !database.sets().some(({ name }) => name === set)) {
    throw setErrors.not_found({ field: 'set', name: set });
  }
  const send = throttled(asking, clock);
  const report = await protector.backupNow((progress) => send({ progress }));
  return {
    ...report,
    standings: standingsOf(parts, asking.caller).filter((standing) => set === undefined || standing.set === set),
    problems: report.problems.map(({ path, code, message }) => ({ path: pathToText(path), code, message })),
    missing: report.missing.map(({ path, reason }) => ({ path: pathToText(path), reason })),
    lostDestinations: report.lostDestinations.map(({ destination }) => destination.name),
  };
}

/** `verify`: reads back what every destination holds. No pass runs meanwhile. */
export async function answerVerify(
  parts: AgentParts,
  { full = false }: { full?: boolean | undefined },
  asking: Asking,
): Promise<object> {
  const { protector, destinations, archive, clock } = parts;
  const send = throttled(asking, clock);
  return protector.exclusive(
    async () => {
      await destinations.connect();
      const reports = [];
      for (const session of destinations.sessions()) {
        const onProgress = (progress: VerifyProgress) => send({ progress: { destination: session.name, ...progress } });
        reports.push(await verifyDestination(archive, session, { full, signal: asking.signal, onProgress }));
      }
      return { full, destinations: reports };
    },
    { isWholeNeeded: false },
  );
}
