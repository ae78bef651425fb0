import { newId } from '@holdfast/base';
import { canonicalJson, type Json } from '@holdfast/trust';
import type { WriteAudit } from '../../platform/context.ts';
import * as store from './store.ts';

/** Writes one entry into the tenant's log, as canonical JSON; its leaf is appended when the transaction commits. */
export const writeAudit: WriteAudit = async (tx, entry) => {
  const entryId = newId<'audit-entry'>(entry.at.getTime());
  const document = {
    entryId,
    occurredAt: entry.at.toISOString(),
    eventType: entry.eventType,
    outcome: entry.outcome,
    actor: { ...entry.actor },
    source: entry.source ? { ...entry.source } : null,
    requestId: entry.requestId ?? null,
    target: entry.target ? { ...entry.target } : null,
    before: entry.before ?? null,
    after: entry.after ?? null,
    facts: entry.facts ?? {},
  } as const satisfies Json;
  await store.insertEntry(tx, { tenant_id: entry.tenantId, entry_id: entryId, entry: canonicalJson(document) });
};
