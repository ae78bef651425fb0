import type { z } from 'zod';
import type { Permission } from './permissions.ts';

/** The server role that answers a route; also the audience its tokens are made for. */
export type ServingRole = 'api' | 'storage' | 'keystore' | 'ingest';

/** Who can ask: a signed-in person, a device, an API client, an operator with a tenant's grant. */
export type PrincipalKind = 'user' | 'device' | 'client' | 'support';

/** Says that a route asks for no credential, and why that is right. */
export type Open = { readonly open: string };

/** Marks a route that anybody may call; the reason is shown in the API document. */
export const open = (reason: string): Open => ({ open: reason });

/** A body or reply of bytes, handed on as a stream and never held whole. */
export type Bytes = { readonly bytes: string };

/** A body or reply of bytes of the given media type. */
export const bytes = (mediaType: string): Bytes => ({ bytes: mediaType });

/** A reply without a body (204). */
export const nothing: unique symbol = Symbol('nothing');
/** The type of a reply without a body. */
export type Nothing = typeof nothing;

/** One address of the API, as data. Servers mount it, clients call it, documents and tests walk it. */
export type Route = {
  /** The server role that answers; `api` when absent. */
  readonly role?: ServingRole;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Begins with `/`; `:name` stands for a parameter of `params`. */
  readonly path: string;
  /** One sentence without a full stop. */
  readonly summary: string;
  /** What the caller must hold. There is no default: a route without one does not start. */
  readonly permission: Permission | Open;
  /** Kinds of principal that may ask; `user` and `client` when absent. */
  readonly principals?: readonly PrincipalKind[];
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** A JSON body (or a form, where `form` is set), or bytes. */
  readonly body?: z.ZodType | Bytes;
  /** Whether an absent or `application/x-www-form-urlencoded` body is read as fields, too. */
  readonly form?: boolean;
  /** Largest body accepted; 262,144 when absent. */
  readonly maxBodyBytes?: number;
  /** The status of success. */
  readonly status: 200 | 201 | 202 | 204;
  readonly reply: z.ZodType | Bytes | Nothing;
  /** Largest JSON reply that a client reads; 268,435,456 when absent. */
  readonly maxReplyBytes?: number;
  /** Failures of this route besides the common ones. */
  readonly errors?: readonly { readonly code: string }[];
};

/** Declares a route; the identity function that keeps its exact type. */
export const defineRoute = <const R extends Route>(route: R): R => route;

/** Tells bytes from a schema. */
export const isBytes = (shape: unknown): shape is Bytes =>
  typeof shape === 'object' && shape !== null && 'bytes' in shape && typeof shape.bytes === 'string';

/** Tells an open route's access from a permission. */
export const isOpen = (permission: Permission | Open): permission is Open => typeof permission === 'object';

/** The role that answers a route. */
export const roleOf = (route: Route): ServingRole => route.role ?? 'api';

/** The kinds of principal a route accepts. */
export const principalsOf = (route: Route): readonly PrincipalKind[] => route.principals ?? ['user', 'client'];

/** Largest body of a route that states none, in bytes. */
export const DEFAULT_MAX_BODY_BYTES = 262_144;

type Part<R extends Route, K extends 'params' | 'query' | 'body', Side extends 'in' | 'out'> = R[K] extends z.ZodType
  ? { readonly [P in K]: Side extends 'in' ? z.input<R[K]> : z.output<R[K]> }
  : unknown;

/** What a caller passes: only the parts the route declares. */
export type RouteInput<R extends Route> = Part<R, 'params', 'in'> & Part<R, 'query', 'in'> & Part<R, 'body', 'in'>;

/** What a use case receives after validation. */
export type RouteRequest<R extends Route> = Part<R, 'params', 'out'> & Part<R, 'query', 'out'> & Part<R, 'body', 'out'>;

/** What a use case returns. */
export type RouteResult<R extends Route> = R['reply'] extends z.ZodType ? z.input<R['reply']> : void;

/** What a caller gets back. */
export type RouteReply<R extends Route> = R['reply'] extends z.ZodType ? z.output<R['reply']> : void;
