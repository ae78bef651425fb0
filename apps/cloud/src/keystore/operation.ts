import type { Clock, Random } from '@holdfast/base';
import { z } from 'zod';
import type { Kms } from '../platform/kms.ts';
import type { Database } from '../platform/postgres.ts';

/** A tenant as requests name it: one spelling. */
export const TenantUid = z.uuid().lowercase();

/** What an operation works with: nothing that belongs to another role. */
export type KeystoreContext = {
  readonly installationId: string;
  /** The connections of `hf_keystore`. */
  readonly database: Database;
  /** The `Kms` of the role keystore. */
  readonly kms: Kms;
  /** The keystore's own: nobody else's word on the time counts. */
  readonly clock: Clock;
  readonly random: Random;
};

/** One thing that the keystore can be asked for: its shapes, its bounds and its work, in a file of its own. */
export type Operation<Request extends z.ZodType = z.ZodType, Reply extends z.ZodType = z.ZodType> = {
  /** What comes in; strict, since whoever asks is not believed. */
  readonly request: Request;
  readonly reply: Reply;
  readonly maxBodyBytes: number;
  /** Whether asking again after a lost answer does no harm; the client does so by itself. */
  readonly isRepeatable: boolean;
  readonly work: (context: KeystoreContext, request: z.output<Request>) => Promise<z.input<Reply>>;
};

/** Declares an operation; `operations.ts` lists all there are. */
export function defineOperation<Request extends z.ZodType, Reply extends z.ZodType>(
  operation: Operation<Request, Reply>,
): Operation<Request, Reply> {
  return operation;
}
