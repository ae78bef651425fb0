import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IoContext, TxContext } from './context.ts';

type Blobs = { readonly blobs: { get(key: string): Promise<Uint8Array> } };

/** Compiled, never run: each directive below is an error of the compiler as soon as its line compiles. */
export const refusedByTheCompiler = {
  aTransactionHasNoAdapters: (ctx: TxContext) =>
    // @ts-expect-error -- no network inside a transaction
    ctx.blobs,
  aTransactionOpensNoOther: (ctx: TxContext) =>
    // @ts-expect-error -- nor a second transaction
    ctx.transact(async () => 1),
  ioHasNoTransaction: (ctx: IoContext<Blobs>) =>
    // @ts-expect-error -- statements need a transaction
    ctx.tx.withTables(),
  aTransactionIsNoIo: (ctx: TxContext, useCase: (io: IoContext<Blobs>) => void) =>
    // @ts-expect-error -- a use case that waits for the network cannot be called inside a transaction
    useCase(ctx),
  ioIsNoTransaction: (ctx: IoContext<Blobs>, useCase: (tx: TxContext) => void) =>
    // @ts-expect-error -- and one that needs a transaction not outside
    useCase(ctx),
  onlyNamedAdapters: (ctx: IoContext) =>
    // @ts-expect-error -- an adapter that was not asked for is not there
    ctx.blobs,
};

/** The same acts in the right place compile. */
export const acceptedByTheCompiler = {
  ioReadsBlobs: (ctx: IoContext<Blobs>) => ctx.blobs.get('key'),
  ioTakesATransaction: (ctx: IoContext<Blobs>, useCase: (tx: TxContext) => Promise<number>) => ctx.transact(useCase),
  transactionsUseTables: (ctx: TxContext) => ctx.tx.withTables<{ orgs: { org_id: string } }>().selectFrom('orgs'),
};

test('what the compiler refuses has a form that it accepts', () => {
  assert.ok(Object.keys(refusedByTheCompiler).length >= Object.keys(acceptedByTheCompiler).length);
});
