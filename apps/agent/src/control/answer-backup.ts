import { isRetryable } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import { pathToText } from '../browse/path-text.ts';
import { setErrors } from '../sets/errors.ts';
import type { DestinationStanding } from '../destinations/slot.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { verifyDestination, type VerifyReport } from '../verify/verify-destination.ts';
import { standingsOf } from './answer-status.ts';
import type { Asking } from './requests.ts';
import { judgeDestination } from './standing.ts';
import { throttled } from './throttled.ts';

/** `backup`: a pass over everything now, or over what one set selects; with progress. */
export async function answerBackup(
  parts: AgentParts,
  { set }: { set?: string | undefined },
  asking: Asking,
): Promise<object> {
  const { database, protector, clock } = parts;
  if (database.sets().length === 0) throw setErrors.none({ remedy: 'holdfast set add NAME FOLDER...' });
  const asked = database.sets().find(({ name }) => name === set);
  if (set !== undefined && !asked) {
    throw setErrors.not_found({ field: 'set', name: set });
  }
  const send = throttled(asking, clock);
  const report = await protector.backupNow((progress) => send({ progress }), asked?.number);
  const lookedAt = database.sets().filter(({ number }) => report.sets.includes(number));
  return {
    ...report,
    sets: lookedAt.map(({ name }) => name),
    leftOut: database
      .sets()
      .filter(({ name, number }) => (set ?? name) === name && !report.sets.includes(number))
      .map(({ name }) => name),
    standings: standingsOf(parts, asking.caller).filter((standing) => set === undefined || standing.set === set),
    problems: report.problems.map(({ path, code, message }) => ({ path: pathToText(path), code, message })),
    missing: report.missing.map(({ path, reason }) => ({ path: pathToText(path), reason })),
    lostDestinations: report.lostDestinations.map(({ destination }) => destination.name),
  };
}

/**
 * `verify`: reads back what every destination holds. No pass runs meanwhile. One that is not to be had is under
 * `notChecked`, with the reason.
 */
export async function answerVerify(
  parts: AgentParts,
  { full = false }: { full?: boolean | undefined },
  asking: Asking,
): Promise<object> {
  const { protector, destinations, archive, clock } = parts;
  const send = throttled(asking, clock);
  return protector.exclusive(
    async () => {
      destinations.retryNow();
      await destinations.connect();
      const reports: VerifyReport[] = [];
      const notChecked: object[] = [];
      for (const { destinationId, name } of destinations.configs) {
        const report = await verifyOne(parts, destinationId, {
          full,
          signal: asking.signal,
          isNeeded: destinations.sets.neededAt(name),
          onProgress: (progress) => send({ progress: { destination: name, ...progress } }),
        });
        if (report) reports.push({ ...report, destination: name });
        else notChecked.push({ destination: name, ...notReady(destinations.standingOf(destinationId)) });
      }
      return { full, head: archive.index.head().number, destinations: reports, notChecked };
    },
    { isWholeNeeded: false },
  );
}

/** Undefined where it is not ready, or goes away meanwhile: its standing then says why. */
async function verifyOne(
  { destinations, archive }: AgentParts,
  destinationId: number,
  options: Parameters<typeof verifyDestination>[2],
): Promise<VerifyReport | undefined> {
  const session = destinations.sessionOf(destinationId);
  if (!session || destinations.standingOf(destinationId).status !== 'ready') return undefined;
  try {
    const report = await verifyDestination(archive, session, options);
    // It was taken for current: opened anew, it is judged by what it has and is sent what it lacks.
    if (!report.isCurrent) await destinations.lose(session, destinationErrors.moved({ destination: session.name }));
    return report;
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isRetryable(error)) throw error;
    await destinations.lose(session, error);
    return undefined;
  }
}

function notReady(standing: DestinationStanding): object {
  const { reason, remedy } = judgeDestination(standing) ?? { reason: 'it is not open just now' };
  return { status: standing.status, reason, remedy: remedy ?? 'when it is there: holdfast verify' };
}
