import { CodedError, defineErrors } from '@holdfast/base';
import { Problem } from '@holdfast/contract';
import { parseJson, shownOf, textOf } from './reply-text.ts';

/** Failures the SDK itself can report, besides those the server declares. */
export const sdkErrors = defineErrors('sdk', {
  unreachable: ['unavailable', 'The server did not answer'],
  not_a_problem: ['unavailable', 'The server answered with something that is not of this API'],
  server_bug: ['unavailable', 'The server reported a fault of its own'],
});

const mostProblemBytes = 1024 * 1024;

/** Turns a reply that is not a success into the error the server meant, with its code, kind, details and request id. */
export async function problemOf(reply: Response): Promise<CodedError> {
  const text = (await textOf(reply, mostProblemBytes)) ?? '';
  const problem = Problem.safeParse(parseJson(text));
  if (!problem.success)
    return sdkErrors.not_a_problem({ status: reply.status, startsWith: shownOf(text.slice(0, 200)) });
  const { code, kind, title, details, requestId } = problem.data;
  const retryAfter = reply.headers.get('retry-after');
  const facts = {
    ...(shownOf(details) as typeof details),
    requestId: shownOf(requestId),
    ...(retryAfter === null ? {} : { retryAfterSeconds: Number(retryAfter) }),
  };
  if (kind === 'internal') return sdkErrors.server_bug({ requestId: shownOf(requestId) });
  return new CodedError({ code, kind, message: shownOf(title) as string, details: facts });
}
