import type { Readable } from 'node:stream';
import { CodedError, type Clock } from '@holdfast/base';
import {
  authErrors,
  isBytes,
  isOpen,
  nothing,
  principalsOf,
  problemsInWords,
  requestErrors,
  roleOf,
  type Permission,
  type Route,
  type RouteRequest,
  type RouteResult,
  type ServingRole,
} from '@holdfast/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { AuditActor, IoContext, OpenContext, Principal, Source, TxContext, WriteAudit } from './context.ts';
import type { Database } from './postgres.ts';
import { refuseUnstorableText } from './reading.ts';
import type { RefusalLog } from './refusal-log.ts';

declare module 'fastify' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- only an interface can be merged
  interface FastifyRequest {
    principal?: Principal;
  }
}

/** What a request shows to prove who asks. */
export type Presented = {
  readonly method: string;
  /** The path and query as they were sent. */
  readonly url: string;
  readonly headers: FastifyRequest['headers'];
  readonly source: Source;
};

/** Somebody who is known and may not act; their tenant's log says so. */
export type RefusedPrincipal = {
  readonly refusal: CodedError;
  readonly tenantId: string;
  readonly actor: AuditActor;
};

/** Finds out who asks; throws one of the `auth` errors when that is nobody. */
export type Authenticate = (presented: Presented, route: Route) => Promise<Principal | RefusedPrincipal>;

/** Whether an error says that somebody may not, or is not who they say: such errors are recorded. */
export function isRefusal(error: unknown): error is CodedError {
  return error instanceof CodedError && (error.kind === 'forbidden' || error.kind === 'unauthenticated');
}

/** What mounting routes needs. */
export type HttpDeps = {
  readonly role: ServingRole;
  readonly database: Database;
  readonly authenticate: Authenticate;
  readonly writeAudit: WriteAudit;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  /** Ends when the server stops. */
  readonly stopping: AbortSignal;
};

/** What a use case of a streaming route receives: the parts the route declares, and the body as a stream. */
export type StreamRequest<R extends Route> = RouteRequest<R> & {
  readonly stream: Readable;
  readonly headers: FastifyRequest['headers'];
};

/** What a streaming route answers: the declared reply, or bytes with their headers. */
export type StreamReply<R extends Route> = R['reply'] extends { readonly bytes: string }
  ? { readonly stream: Readable | Uint8Array; readonly headers?: Readonly<Record<string, string>> }
  : RouteResult<R>;

/** Mounts a JSON route: authenticated, validated, one transaction, its acts recorded, its reply checked. */
export function mount<const R extends Route>(
  app: FastifyInstance,
  deps: HttpDeps,
  route: R,
  useCase: (ctx: TxContext, request: RouteRequest<R>) => Promise<RouteResult<R>>,
): void {
  const mustRecord = route.method !== 'GET' && deps.role === 'api';
  add(app, deps, route, async (call) => {
    const input = validate(route, call.request);
    return transact(call, async (ctx, recorded) => {
      const result = await useCase(ctx, input);
      if (mustRecord && recorded() === 0) throw new Error(`${route.method} ${route.path} changes without a record`);
      return result;
    });
  });
}

/** Mounts a JSON route whose use case waits for more than the database; it takes transactions as it needs them. */
export function mountIo<const R extends Route, Adapters extends object>(
  app: FastifyInstance,
  deps: HttpDeps & { readonly adapters: Adapters },
  route: R,
  useCase: (ctx: IoContext<Adapters>, request: RouteRequest<R>) => Promise<RouteResult<R>>,
): void {
  add(app, deps, route, (call) => useCase(ioContext(call, deps.adapters), validate(route, call.request)));
}

/** Mounts a route whose body or reply is bytes: they pass as streams, and no transaction is open meanwhile. */
export function mountStream<const R extends Route, Adapters extends object>(
  app: FastifyInstance,
  deps: HttpDeps & { readonly adapters: Adapters },
  route: R,
  useCase: (ctx: IoContext<Adapters>, request: StreamRequest<R>) => Promise<StreamReply<R>>,
): void {
  add(app, deps, route, (call) => {
    const { body, headers } = call.request;
    const input = Object.assign(validate(route, call.request) as object, { stream: body as Readable, headers });
    return useCase(ioContext(call, deps.adapters), input as StreamRequest<R>);
  });
}

/** Mounts a route that anybody may call; the use case may set headers, such as a cookie. */
export function mountOpen<const R extends Route>(
  app: FastifyInstance,
  deps: HttpDeps,
  route: R,
  useCase: (ctx: OpenContext, request: OpenRequest<R>, reply: FastifyReply) => Promise<RouteResult<R>>,
): void {
  if (!isOpen(route.permission)) throw new Error(`${route.method} ${route.path} is not declared open`);
  addRoute(app, deps, route, {
    async handler(request, reply) {
      const ctx = {
        nowMs: () => deps.clock.now(),
        source: sourceOf(request),
        requestId: request.id,
        signal: signalOf(reply, deps),
      };
      const input = Object.assign(validate(route, request) as object, { headers: request.headers });
      return answer(route, reply, await useCase(ctx, input as OpenRequest<R>, reply));
    },
  });
}

/** What the use case of an open route receives: the parts the route declares, and the headers. */
export type OpenRequest<R extends Route> = RouteRequest<R> & { readonly headers: FastifyRequest['headers'] };

/** Where a request came from; text a client chose is cut and cleaned. */
export function sourceOf(request: FastifyRequest): Source {
  const userAgent = (request.headers['user-agent'] ?? '').toWellFormed().replaceAll(/\p{C}/gu, '?');
  return { ipAddress: request.ip, userAgent: userAgent.slice(0, 300).toWellFormed() };
}

/** One request of somebody who has proved who they are. */
type Call = {
  readonly deps: HttpDeps;
  readonly route: Route;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly principal: Principal;
};

function add(app: FastifyInstance, deps: HttpDeps, route: Route, work: (call: Call) => Promise<unknown>): void {
  if (isOpen(route.permission)) throw new Error(`${route.method} ${route.path} is open: use mountOpen`);
  addRoute(app, deps, route, {
    // Before the body is read: a stranger's body is not worth receiving.
    async onRequest(request, reply) {
      const { method, url, headers } = request;
      const principal = await deps.authenticate({ method, url, headers, source: sourceOf(request) }, route);
      if ('refusal' in principal) {
        await record(deps, route, request, principal);
        throw principal.refusal;
      }
      request.principal = principal;
      if (principal.nextNonce !== undefined) void reply.header('dpop-nonce', principal.nextNonce);
      const call = { deps, route, request, reply, principal };
      await recordRefusal(call, async () => requirePermission(route, principal));
    },
    async handler(request, reply) {
      const call = { deps, route, request, reply, principal: request.principal! };
      return answer(route, reply, await recordRefusal(call, () => work(call)));
    },
  });
}

type Handling = {
  readonly handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;
  readonly onRequest?: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
};

function addRoute(app: FastifyInstance, deps: HttpDeps, route: Route, handling: Handling): void {
  if (roleOf(route) !== deps.role) throw new Error(`${route.method} ${route.path} is not of the role ${deps.role}`);
  app.route({ method: route.method, url: route.path, config: { contract: route }, ...handling });
}

function requirePermission(route: Route, principal: Principal): void {
  if (!principalsOf(route).includes(principal.kind)) throw authErrors.wrong_kind({ kind: principal.kind });
  if (reachOf(principal, route).length === 0) throw authErrors.missing_permission({ permission: route.permission });
}

/** The orgs over which somebody holds the permission of a route. */
function reachOf(principal: Principal, route: Route): readonly string[] {
  const permission = route.permission as Permission;
  return principal.grants.filter((grant) => grant.permissions.has(permission)).map((grant) => grant.orgId);
}

function transact<T>(call: Call, work: (ctx: TxContext, recorded: () => number) => Promise<T>): Promise<T> {
  const { deps, route, request, principal } = call;
  return deps.database.withTenant(principal.tenantId, (tx) => {
    const now = new Date(deps.clock.now());
    let count = 0;
    const ctx: TxContext = {
      tenantId: principal.tenantId,
      principal,
      now,
      tx,
      source: sourceOf(request),
      reach: reachOf(principal, route),
      audit: async (event) => {
        count++;
        await deps.writeAudit(tx, { ...event, ...whoAndWhen(call, now), outcome: 'done' });
      },
    };
    return work(ctx, () => count);
  });
}

function ioContext<Adapters extends object>(call: Call, adapters: Adapters): IoContext<Adapters> {
  const { deps, route, request, reply, principal } = call;
  const context = {
    tenantId: principal.tenantId,
    principal,
    nowMs: () => deps.clock.now(),
    reach: reachOf(principal, route),
    source: sourceOf(request),
    signal: signalOf(reply, deps),
    transact: <T>(work: (ctx: TxContext) => Promise<T>) => transact(call, work),
  };
  return { ...adapters, ...context };
}

function whoAndWhen({ principal, request }: Call, at: Date) {
  const { tenantId } = principal;
  return { tenantId, at, actor: actorOf(principal), source: sourceOf(request), requestId: request.id };
}

function actorOf({ kind, principalId, name }: Principal): AuditActor {
  return { kind, id: principalId, name };
}

/** Records that an act was refused to a principal. */
async function recordRefusal<T>(call: Call, work: () => Promise<T>): Promise<T> {
  const { deps, route, request } = call;
  try {
    return await work();
  } catch (error) {
    const { tenantId } = call.principal;
    const actor = actorOf(call.principal);
    if (isRefusal(error)) await record(deps, route, request, { refusal: error, tenantId, actor });
    throw error;
  }
}

function record(deps: HttpDeps, route: Route, request: FastifyRequest, refused: RefusedPrincipal): Promise<void> {
  const { refusal, tenantId, actor } = refused;
  const facts = { code: refusal.code, method: route.method, path: route.path };
  const about = { tenantId, actor, at: new Date(deps.clock.now()), source: sourceOf(request), requestId: request.id };
  return deps.refusals.record({ eventType: 'request.refused', facts, ...about });
}

function signalOf(reply: FastifyReply, deps: HttpDeps): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(requestErrors.interrupted({ reason: 'the client went away' }));
  });
  return AbortSignal.any([gone.signal, deps.stopping]);
}

function validate<R extends Route>(route: R, request: FastifyRequest): RouteRequest<R> {
  return {
    ...part(route.params, 'params', request.params),
    ...part(route.query, 'query', request.query),
    ...bodyPart(route, request.body),
  } as RouteRequest<R>;
}

function bodyPart(route: Route, body: unknown): object {
  if (isBytes(route.body)) return {};
  if (route.body === undefined && body !== undefined) throw requestErrors.unsupported_media();
  return part(route.body, 'body', body === undefined && route.form === true ? {} : body);
}

function part(shape: z.ZodType | undefined, name: string, value: unknown): object {
  if (name !== 'body') refuseUnstorableText(value, name);
  if (!shape) return {};
  const parsed = shape.safeParse(value);
  if (parsed.success) return { [name]: parsed.data };
  const problems = problemsInWords(parsed.error, value).slice(0, 10);
  throw requestErrors.invalid({
    problems: problems.map(({ field, problem }) => ({
      field: field === '' ? name : `${name}.${field}`,
      message: problem,
    })),
  });
}

/** Checks the reply against the contract, so that nothing undeclared ever leaves; a mismatch is a bug. */
function answer(route: Route, reply: FastifyReply, result: unknown): FastifyReply {
  void reply.status(route.status);
  if (route.reply === nothing) return reply.send();
  if (isBytes(route.reply)) {
    const { stream, headers } = result as { stream: Readable | Uint8Array; headers?: Record<string, string> };
    return reply
      .headers(headers ?? {})
      .type(route.reply.bytes)
      .send(stream);
  }
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(route.reply.parse(result)));
}
