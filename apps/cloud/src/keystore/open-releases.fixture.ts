/** A process that opens granted releases, says so, and then waits to be looked into. Its standard input is one line of JSON. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { systemRandom } from '@holdfast/base';
import { importHpkeKey } from '@holdfast/trust';
import type { Grant } from './judge-release.ts';
import { openGrantedRelease } from './open-release.ts';

/** What the process is sent; bytes are hex. */
export type OpenReleasesOrder = {
  readonly grants: readonly (Pick<Grant, 'purpose' | 'scope' | 'epochs'> & { readonly [K in GrantBytes]: string })[];
  readonly inner: string;
  readonly keystoreKey: string;
};

type GrantBytes = 'archiveId' | 'slotId' | 'keyring' | 'recipientKey' | 'leafHash';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

const lines = createInterface({ input: process.stdin });
const [line] = (await once(lines, 'line')) as [string];
const order = JSON.parse(line) as OpenReleasesOrder;
const keys = { inner: bytes(order.inner), keystoreKey: importHpkeKey(bytes(order.keystoreKey)), random: systemRandom };
let sealedBytes = 0;
for (const { archiveId, slotId, keyring, recipientKey, leafHash, ...grant } of order.grants) {
  const read = { archiveId: bytes(archiveId), slotId: bytes(slotId), keyring: bytes(keyring) };
  const bound = { recipientKey: bytes(recipientKey), leafHash: bytes(leafHash) };
  sealedBytes += openGrantedRelease({ ...grant, ...read, ...bound }, keys).length;
}
// What the crypto library holds is cleared when the collector frees it.
for (let turn = 0; turn < 3; turn += 1) {
  globalThis.gc?.();
  await new Promise((resolve) => setImmediate(resolve));
}
process.stdout.write(`${sealedBytes}\n`);
await once(lines, 'close');
