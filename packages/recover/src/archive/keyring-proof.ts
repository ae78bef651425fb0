import { introductionHolds, type Keyring } from '../format/keyring.ts';
import type { Findings } from './findings.ts';

const origins: Readonly<Record<number, string>> = {
  1: 'as the first',
  2: 'as the same device after its state was lost',
  3: 'from another device',
  4: 'by a recovery code',
  5: "by an administrator's approval",
};

/** Whether every writer but the first was introduced by the one listed before it (§5): then they vouch for each other. */
export function isVouchedFor(keyring: Keyring, archiveId: Buffer): boolean {
  return keyring.writers.slice(1).every((writer) => introductionHolds(keyring, writer, archiveId) === true);
}

/**
 * Says what is missing from the proof of the keyring whose writers count (§14.2).
 *
 * Who has the keys and reaches the store can put in a keyring with a writer of his own, and a commit that names it. What
 * he cannot make is the signature of the writer before, or the keyrings between.
 */
export function reportUnproven(
  chosen: Keyring,
  keyrings: readonly Keyring[],
  { archiveId, findings }: { readonly archiveId: Buffer; readonly findings: Findings },
): void {
  const gap = firstWithoutPredecessor(chosen, keyrings);
  if (gap !== undefined) {
    const message = `the keyring before keyring ${gap.number} is not here: that it follows is not proven`;
    findings.add({ severity: 'unproven', code: 'keyring.before_missing', message });
  }
  for (const writer of chosen.writers.slice(1)) {
    if (introductionHolds(chosen, writer, archiveId) === true) continue;
    const how = origins[writer.origin] ?? 'in a way that is not known';
    findings.add({
      severity: 'unproven',
      code: 'keyring.not_introduced',
      message: `writer ${writer.number}, which may sign from commit ${writer.firstCommit} on and came in ${how}, was not introduced by the writer before it: that it may write is not proven`,
    });
  }
}

/** Keyrings are never let go, so the line of one by its hashes reaches number 1; else the one where it breaks. */
function firstWithoutPredecessor(chosen: Keyring, keyrings: readonly Keyring[]): Keyring | undefined {
  const byHash = new Map(keyrings.map((keyring) => [keyring.hash.toString('latin1'), keyring]));
  let at = chosen;
  while (at.number > 1) {
    const before = byHash.get(at.previousHash.toString('latin1'));
    if (before?.number !== at.number - 1) return at;
    at = before;
  }
  return undefined;
}
