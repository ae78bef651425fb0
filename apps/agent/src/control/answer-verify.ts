import { isRetryable } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import { destinationErrors } from '../destinations/errors.ts';
import type { DestinationStanding } from '../destinations/slot.ts';
import type { DestinationLoss } from '../state/agent-database.ts';
import { noteDamage, setsNeeding } from '../verify/known-damage.ts';
import { type Checked, mend, type Mended } from '../verify/mend.ts';
import { verifyDestination, type Verified } from '../verify/verify-destination.ts';
import { lossOf } from './answer-status.ts';
import { openAnew } from './open-anew.ts';
import type { Asking } from './requests.ts';
import { judgeDestination } from './standing.ts';
import { throttled } from './throttled.ts';

/**
 * `verify`: reads back what every destination holds, and mends what it can. No pass runs meanwhile. One that is not to be
 * had is under `notChecked`, with the reason.
 */
export async function answerVerify(
  parts: AgentParts,
  { full = false }: { full?: boolean | undefined },
  asked: Asking,
): Promise<object> {
  const { protector, destinations, archive, database } = parts;
  // An agent that is to end does not wait until everything is read.
  const asking = { ...asked, signal: AbortSignal.any([asked.signal, parts.signal]) };
  const lossesBefore = new Map(destinations.configs.map((config) => [config, database.loss(config.destinationId)]));
  const verify = async () => {
    await openAnew(parts);
    const { checked, notChecked } = await checkAll(parts, full, asking);
    const needing = new Map(checked.map((each) => [each, setsNeeding(archive.index, each.verified)]));
    // Kept before anything is done about it, so that an end in between loses nothing.
    for (const each of checked) note(parts, each, { mended: undefined, sets: needing.get(each), isFull: full });
    const { destinations: mended, failure } = await mend(parts.passPorts, checked, asking.signal);
    const reports = checked.map((each) => {
      const { config, verified } = each;
      const of = mended.get(config.destinationId)!;
      note(parts, each, { mended: of, sets: needing.get(each), isFull: full });
      const loss = newLoss(parts, each, lossesBefore.get(config));
      return { ...verified.report, destination: config.name, ...of, ...(loss && { loss: lossOf(loss) }) };
    });
    const stopped = failure && { mendingStopped: { code: failure.code, message: failure.message } };
    return { full, head: archive.index.head().number, destinations: reports, notChecked, ...stopped };
  };
  return protector.exclusive(verify, { isWholeNeeded: false });
}

/** What a destination was found to have lost: when it was opened, or by what is there. */
function newLoss(
  { database, clock }: AgentParts,
  { config, verified: { report } }: Checked,
  before: DestinationLoss | undefined,
): DestinationLoss | undefined {
  const loss = database.loss(config.destinationId);
  if (loss && loss.atMs !== before?.atMs) return loss;
  // It was at the device's head when it was opened, or it would not have been read.
  if (report.isCurrent) return undefined;
  const acknowledged = database.acknowledged(config.destinationId);
  return report.head < acknowledged ? { acknowledged, found: report.head, atMs: clock.now() } : undefined;
}

async function checkAll(parts: AgentParts, full: boolean, asking: Asking) {
  const { destinations, clock } = parts;
  const send = throttled(asking, clock);
  const checked: Checked[] = [];
  const notChecked: object[] = [];
  for (const config of destinations.configs) {
    const { destinationId, name } = config;
    const session = destinations.sessionOf(destinationId);
    const verified = await verifyOne(parts, destinationId, {
      full,
      signal: asking.signal,
      isNeeded: destinations.sets.neededAt(name),
      others: destinations.sessions().filter((other) => other !== session),
      onProgress: (progress) => send({ progress: { destination: name, ...progress } }),
    });
    if (verified) checked.push({ config, verified });
    else notChecked.push({ destination: name, ...notReady(destinations.standingOf(destinationId)) });
  }
  return { checked, notChecked };
}

/** Undefined where it is not ready, or goes away meanwhile: its standing then says why. */
async function verifyOne(
  { destinations, archive }: AgentParts,
  destinationId: number,
  options: Parameters<typeof verifyDestination>[2],
): Promise<Verified | undefined> {
  const session = destinations.sessionOf(destinationId);
  if (!session) return undefined;
  try {
    const verified = await verifyDestination(archive, session, options);
    // It was taken for current: opened anew, it is judged by what it has and is sent what it lacks.
    const { isCurrent } = verified.report;
    if (!isCurrent) await destinations.lose(session, destinationErrors.moved({ destination: session.name }));
    return verified;
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isRetryable(error)) throw error;
    await destinations.lose(session, error);
    return undefined;
  }
}

type Noted = {
  readonly mended: Mended | undefined;
  readonly sets: readonly number[] | undefined;
  readonly isFull: boolean;
};

/** Has `status` know what is damaged there: all that was found, or what mending left. */
function note(
  { database, clock }: AgentParts,
  { config, verified: { report, altered } }: Checked,
  { mended, sets, isFull }: Noted,
): void {
  const records = mended?.left ?? report.damaged;
  const isListed = (ordinal: number) => records.some((record) => record.ordinal === ordinal);
  const found = {
    atMs: Math.round(clock.now()),
    count: mended?.leftCount ?? report.damagedCount,
    records,
    altered: [...altered].filter(isListed),
    ...(sets && { sets }),
  };
  noteDamage(database, config.destinationId, found, isFull);
}

function notReady(standing: DestinationStanding): object {
  const { reason, remedy } = judgeDestination(standing) ?? { reason: 'it is not open just now' };
  return { status: standing.status, reason, remedy: remedy ?? 'when it is there: holdfast verify' };
}
