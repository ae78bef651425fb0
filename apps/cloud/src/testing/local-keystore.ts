import { systemRandom } from '@holdfast/base';
import type { KeystoreContext } from '../keystore/operation.ts';
import { operations, type Keystore } from '../keystore/operations.ts';
import { perform } from '../keystore/serve.ts';

/** The keystore's own work in this process: what a test needs that is not about the process. */
export function localKeystore(context: Omit<KeystoreContext, 'random'>): Keystore {
  const names = Object.keys(operations) as (keyof typeof operations)[];
  const perName = names.map((name) => [
    name,
    async (body: unknown) =>
      operations[name].reply.parse(await perform({ ...context, random: systemRandom }, name, body)),
  ]);
  return Object.fromEntries(perName) as Keystore;
}
