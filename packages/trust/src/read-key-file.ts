import { assert } from '@holdfast/base';
import type { ReadKeys } from './release.ts';
import { textSha256 } from './signed-text.ts';

/** What reads some epochs of an archive, and does nothing else. */
export type ReadKeyFile = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** By rising number. */
  readonly epochs: readonly ReadKeys[];
};

/** Released keys are those of suite 1, the only one so far. */
const SUITE = 1;

/** Writes the read keys of a release as a file (format document, section 5). Whoever holds it reads those epochs. */
export function formatReadKeyFile({ archiveId, epochs }: ReadKeyFile): string {
  const isRising = epochs.every(({ epoch }, place) => place === 0 || epochs[place - 1]!.epoch < epoch);
  assert(archiveId.length === 16 && epochs.length > 0 && isRising, 'read keys name an archive and rising epochs');
  const lines = epochs.map(({ epoch, data, metadata }) => {
    assert(data.length === 32 && metadata.length === 32, 'a read key has 32 bytes');
    return `epoch ${epoch} ${SUITE} ${hexOf(data)} ${hexOf(metadata)}\n`;
  });
  const body = `holdfast-read-keys-v1\narchive ${hexOf(archiveId)}\n${lines.join('')}`;
  return `${body}check ${textSha256(body).slice(0, 16)}\n`;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
