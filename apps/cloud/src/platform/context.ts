import type { Permission, PrincipalKind } from '@holdfast/contract';
import type { TenantTx } from './postgres.ts';

/** A role held over an org and everything below it, as the permissions it stands for. */
export type Grant = { readonly orgId: string; readonly permissions: ReadonlySet<Permission> };

/** Who asks, as far as it has been proved. */
export type Principal = {
  readonly kind: PrincipalKind;
  /** The user, device or client. */
  readonly principalId: string;
  readonly tenantId: string;
  /** For people to read: a user name, a device's or client's name. */
  readonly name: string;
  readonly grants: readonly Grant[];
  /** What the next proof of possession must contain; sent along with the reply. */
  readonly nextNonce?: string;
  /** The session of a person who signed in with a browser. */
  readonly session?: { readonly sessionId: string; readonly csrfToken: string; readonly absoluteEndsAt: Date };
};

/** Where a request came from. */
export type Source = { readonly ipAddress: string; readonly userAgent: string };

/** One act for the audit log; who, when and from where are filled in. */
export type AuditEvent = {
  /** `noun.verb_past`, such as `roles.replaced`. */
  readonly eventType: string;
  /** What it was done to. */
  readonly target?: { readonly kind: string; readonly id: string };
  /** What was there before and after, and other facts; plain JSON. Never a secret. */
  readonly before?: AuditValue;
  readonly after?: AuditValue;
  readonly facts?: Readonly<Record<string, AuditValue>>;
};

/** What an audit entry can hold. */
export type AuditValue =
  null | boolean | number | string | readonly AuditValue[] | { readonly [name: string]: AuditValue };

/** Who an audit entry is about: a principal, or the server itself, or somebody not proved. */
export type AuditActor = {
  readonly kind: PrincipalKind | 'system' | 'unknown';
  readonly id: string;
  readonly name: string;
};

/** Who did what the server's operator did on the machine itself. */
export const operator: AuditActor = { kind: 'system', id: 'operator', name: 'operator of the server' };

/** What the log says became of an act. */
export type AuditOutcome = 'done' | 'refused' | 'failed';

/** Writes an entry in the given transaction; its leaf is chained when that transaction commits. */
export type WriteAudit = (
  tx: TenantTx,
  entry: AuditEvent & {
    readonly tenantId: string;
    readonly at: Date;
    readonly actor: AuditActor;
    readonly outcome: AuditOutcome;
    readonly source?: Source;
    readonly requestId?: string;
  },
) => Promise<void>;

/**
 * What a use case has inside a database transaction: the database, and nothing that waits for anything else.
 *
 * It runs again when the transaction lost a deadlock, so it must have no other effect.
 */
export type TxContext = {
  readonly tenantId: string;
  readonly principal: Principal;
  readonly now: Date;
  readonly tx: TenantTx;
  /** The orgs over which the caller holds the permission of this route, each with all orgs below it. */
  readonly reach: readonly string[];
  readonly source: Source;
  /** Records what was done; commits or vanishes with the transaction. */
  readonly audit: (event: AuditEvent) => Promise<void>;
  /** There is no way out of a transaction: adapters belong to an `IoContext`. */
  readonly transact?: never;
  readonly signal?: never;
};

/**
 * What a use case has outside transactions: the named adapters, and short transactions of its own.
 *
 * `Adapters` says what it needs: `IoContext<{ readonly kms: Kms }>`.
 */
export type IoContext<Adapters extends object = object> = {
  readonly tenantId: string;
  readonly principal: Principal;
  readonly nowMs: () => number;
  readonly reach: readonly string[];
  readonly source: Source;
  /** Aborted when the client goes away or the server stops. */
  readonly signal: AbortSignal;
  /** Runs `work` in one transaction of the caller's tenant. */
  readonly transact: <T>(work: (ctx: TxContext) => Promise<T>) => Promise<T>;
  /** There is no transaction here: take one with `transact`. */
  readonly tx?: never;
  readonly audit?: never;
} & Adapters;

/** What the use case of an open route has: nobody is known, so it names the tenant it has found out itself. */
export type OpenContext = {
  readonly nowMs: () => number;
  readonly source: Source;
  readonly requestId: string;
  readonly signal: AbortSignal;
};
