import type { z } from 'zod';
import { cosignHead } from './cosign-head.ts';
import { follow } from './follow.ts';
import { followed } from './followed.ts';
import { makeTenantKeys } from './make-tenant-keys.ts';
import { prove } from './prove.ts';
import { publicKeys } from './public-keys.ts';
import { release } from './release.ts';
import { releaseRules } from './release-rules.ts';

/** All that the keystore can be asked for, by name. There is nothing else: whatever is not here does not exist. */
export const operations = {
  makeTenantKeys,
  publicKeys,
  followed,
  follow,
  cosignHead,
  release,
  prove,
  releaseRules,
} as const;

/** The name of an operation. */
export type OperationName = keyof typeof operations;

type Shapes = typeof operations;

/** The keystore as callers see it: a function for each operation, wherever the work is done. */
export type Keystore = {
  readonly [N in OperationName]: (request: z.input<Shapes[N]['request']>) => Promise<z.output<Shapes[N]['reply']>>;
};

/** Whether there is an operation of that name. */
export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(operations, name);
}
