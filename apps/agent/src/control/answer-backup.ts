import type { AgentParts } from '../agent.ts';
import { pathToText } from '../browse/path-text.ts';
import { setErrors } from '../sets/errors.ts';
import { standingsOf } from './answer-status.ts';
import type { Asking } from './requests.ts';
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
