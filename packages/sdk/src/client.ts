import { CodedError } from '@holdfast/base';
import { api, isBytes, nothing, type Route, type RouteInput, type RouteReply } from '@holdfast/contract';
import type { Credentials, Fetch, FetchInit } from './credentials.ts';
import { problemOf, sdkErrors } from './problem-error.ts';
import { parseJson, textOf } from './reply-text.ts';

/** What a client needs: the server's address without a final slash, a `fetch`, and proof of who asks. */
export type ClientOptions = {
  readonly baseUrl: string;
  readonly fetch: Fetch;
  readonly credentials: Credentials;
};

type Streaming = { readonly stream?: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> };
type Input<R extends Route> = RouteInput<R> & Streaming & { readonly signal?: AbortSignal };
type Call<R extends Route> =
  unknown extends RouteInput<R>
    ? (input?: Input<R>) => Promise<CallReply<R>>
    : (input: Input<R>) => Promise<CallReply<R>>;
type CallReply<R extends Route> = R['reply'] extends { readonly bytes: string } ? Response : RouteReply<R>;

/** One function per route, by noun and verb: `client.users.list({ query: {} })`. */
export type Client = {
  readonly [Noun in keyof typeof api]: {
    readonly [Verb in keyof (typeof api)[Noun]]: (typeof api)[Noun][Verb] extends Route
      ? Call<(typeof api)[Noun][Verb]>
      : never;
  };
};

/**
 * Makes a client for every route of the contract.
 *
 * Each call validates the reply. It throws the server's coded error, `sdk.unreachable` when nothing answered (or the
 * coded error of a `fetch` that has one), and `sdk.not_a_problem` when something else than this API did.
 */
export function createClient(options: ClientOptions): Client {
  const nouns = Object.entries(api).map(([noun, routes]) => {
    const verbs = Object.entries(routes).map(([verb, route]) => [
      verb,
      (input: LooseInput = {}) => callRoute(options, route as Route, input),
    ]);
    return [noun, Object.fromEntries(verbs)] as const;
  });
  return Object.fromEntries(nouns) as Client;
}

/** Calls one route that need not be in the contract's list; `createClient` is the usual way. */
export async function call<R extends Route>(options: ClientOptions, route: R, input: Input<R>): Promise<CallReply<R>> {
  return (await callRoute(options, route, input)) as CallReply<R>;
}

type LooseInput = {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly stream?: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
};

async function callRoute(options: ClientOptions, route: Route, input: LooseInput): Promise<unknown> {
  const url = options.baseUrl + pathOf(route, input.params ?? {}) + queryOf(input.query ?? {});
  const proof = await options.credentials.headers({ method: route.method, url });
  const reply = await send(options, url, {
    method: route.method,
    headers: { accept: 'application/json', ...contentType(route, input), ...proof },
    ...bodyOf(input),
    ...(input.signal === undefined ? {} : { signal: input.signal }),
    credentials: options.credentials.cookies ? 'include' : 'omit',
  });
  if (!reply.ok) throw await problemOf(reply);
  if (route.reply === nothing) return undefined;
  if (isBytes(route.reply)) return reply;
  const parsed = route.reply.safeParse(parseJson(await textOf(reply, route.maxReplyBytes).catch(() => undefined)));
  if (!parsed.success) throw sdkErrors.not_a_problem({ status: reply.status }, parsed.error);
  return parsed.data;
}

async function send(options: ClientOptions, url: string, init: FetchInit): Promise<Response> {
  try {
    return await options.fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw init.signal.reason;
    // A `fetch` that knows what failed says it better.
    if (cause instanceof CodedError) throw cause;
    throw sdkErrors.unreachable({ url }, cause);
  }
}

function pathOf(route: Route, params: Readonly<Record<string, unknown>>): string {
  return route.path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(params[name])));
}

function queryOf(query: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((item) => item !== undefined && item !== null)
      .map((item) => `${encodeURIComponent(name)}=${encodeURIComponent(String(item))}`),
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function contentType(route: Route, input: LooseInput): Readonly<Record<string, string>> {
  if (input.stream !== undefined && isBytes(route.body)) return { 'content-type': route.body.bytes };
  return input.body === undefined ? {} : { 'content-type': 'application/json' };
}

function bodyOf(input: LooseInput): Pick<FetchInit, 'body' | 'duplex'> {
  if (input.stream !== undefined) return { body: input.stream, duplex: 'half' };
  return input.body === undefined ? {} : { body: JSON.stringify(input.body) };
}
