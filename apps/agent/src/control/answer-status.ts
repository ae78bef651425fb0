import type { AgentParts } from '../agent.ts';
import type { Caller } from '../browse/caller.ts';
import { pathToText } from '../browse/path-text.ts';
import { isBoundTo } from '../destinations/bindings.ts';
import { hasOwnKeySlot, hasRecoverySlot, newestKeyring } from '../keys/archive-keyring.ts';
import type { NumberedSet } from '../sets/backup-set.ts';
import { minuteOf } from '../schedule/due.ts';
import type { DestinationConfig, DestinationLoss } from '../state/agent-database.ts';
import type { KnownDamage } from '../verify/known-damage.ts';
import { shownKeyLog } from './answer-key-log.ts';
import { escrowSlotKind } from '@holdfast/trust';
import { shownEscrow } from './shown-escrow.ts';
import { shownNameOf } from './holder-away.ts';
import { judgeStanding } from './standing.ts';
import type { Asking } from './requests.ts';
import { unreadEntries } from './unread-entries.ts';

const listedProblems = 100;

/** `status`: how every set stands at every destination. Only administrators see paths, and whether a recovery code is kept. */
export function answerStatus(parts: AgentParts, _given: object, { caller }: Asking): object {
  const { archive, protector } = parts;
  const { view } = protector;
  const standings = standingsOf(parts, caller);
  const unread = unreadEntries(view.problems, protector.selection);
  return {
    standings,
    activity: view.activity,
    ...(view.progress && { progress: view.progress }),
    archive: { archiveId: Buffer.from(archive.archiveId).toString('hex'), head: archive.index.head().number },
    watching: { directories: view.watchedDirectories, notWatched: view.unwatchedDirectories },
    ...(parts.keyLog && { keyLog: shownKeyLog(parts.keyLog, parts) }),
    unreadable: unread.length + view.moreProblems,
    ...(view.wholeAtMs !== undefined && { lookedAtAllAt: new Date(view.wholeAtMs).toISOString() }),
    ...(caller.isPrivileged && {
      recoveryCode: recoveryCodeOf(parts),
      keys: { choice: archive.stored.choice ?? 'standard', escrow: shownEscrow(archive.stored, parts.escrow) },
      problems: unread
        .slice(0, listedProblems)
        .map(({ path, code, message }) => ({ path: pathToText(path), code, message })),
      missing: view.missing.map(({ path, reason }) => ({ path: pathToText(path), reason })),
    }),
  };
}

/** Whether its user could open the backups without this computer: nothing for those who may not. */
function recoveryCodeOf({ archive }: AgentParts) {
  if (hasRecoverySlot(archive.stored)) return { state: 'confirmed' };
  if (archive.stored.choice || hasOwnKeySlot(archive.stored)) return { state: 'missing' };
  const remedy = 'keep a recovery code: holdfast key show-recovery';
  const hasEscrow = newestKeyring(archive.stored).slots.some(({ kind }) => kind === escrowSlotKind);
  const who = hasEscrow ? 'only this computer and its organisation' : 'only this computer';
  return { state: 'missing', reason: `${who} can open its backups`, remedy };
}

/** Every set at every destination that it is bound to, or was. Without a destination each set stands alone. */
export function standingsOf(parts: AgentParts, caller: Caller) {
  const { database, destinations, protector, clock } = parts;
  const stored = database.standings();
  const minute = minuteOf(clock.now());
  const { configs } = destinations;
  const unread = unreadEntries(protector.view.problems, protector.selection);
  return database.sets().flatMap((set) =>
    (configs.length === 0 ? [undefined] : configs).flatMap((config, place) => {
      const completeAtMs = stored.find(
        ({ setNumber, destinationId }) => setNumber === set.number && destinationId === config?.destinationId,
      )?.completeAtMs;
      const there = standingAt(parts, set, config);
      if (!there.isBound && completeAtMs === undefined) return [];
      const facts = {
        set,
        ...there,
        view: protector.view,
        unreadEntries: unread.filter(({ sets }) => sets.includes(set.number)).length,
        isToldPaths: caller.isPrivileged,
        completeAtMs,
        minute,
        damage: config && damageOf(parts, set, config),
      };
      return {
        set: set.name,
        destination: config && shownNameOf(config, place, caller),
        ...judgeStanding(facts),
        completeAt: completeAtMs === undefined ? undefined : new Date(completeAtMs).toISOString(),
        loss: lossOf(config && database.loss(config.destinationId)),
        damage: shownDamage(facts.damage, caller),
      };
    }),
  );
}

/** What verifying found of a set at a destination and could not mend. */
function damageOf({ database }: AgentParts, set: NumberedSet, { destinationId }: DestinationConfig) {
  const damage = database.damage(destinationId);
  return damage?.sets && !damage.sets.includes(set.number) ? undefined : damage;
}

/** Which records, and what files they are of, is for administrators. */
function shownDamage(damage: KnownDamage | undefined, { isPrivileged }: Caller) {
  if (!damage) return undefined;
  const { atMs, count, records } = damage;
  return { at: new Date(atMs).toISOString(), count, ...(isPrivileged && { records }) };
}

/** What a destination had lost when it was opened, as long as a person may want to know. */
export function lossOf(loss: DestinationLoss | undefined) {
  return loss && { at: new Date(loss.atMs).toISOString(), fromCommit: loss.found + 1, toCommit: loss.acknowledged };
}

/** What is known of a set at a destination; undefined where there is none at all. */
function standingAt({ destinations }: AgentParts, set: NumberedSet, config: DestinationConfig | undefined) {
  if (!config) return { destination: undefined, isBound: true, hasGap: false };
  return {
    destination: destinations.standingOf(config.destinationId),
    isBound: isBoundTo(set, config.name),
    hasGap: destinations.sets.hasGap(set.number, config),
  };
}
