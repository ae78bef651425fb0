/** Asking an agent over its control socket. */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { CodedError, type ErrorKind } from '@holdfast/base';
import { controlErrors } from './errors.ts';
import { withSocketPath } from './socket-path.ts';

/** What hears of answers before the result. */
export type Hearing = {
  readonly onProgress?: (progress: Readonly<Record<string, unknown>>) => void;
  readonly onItem?: (item: Readonly<Record<string, unknown>>) => void;
  readonly signal?: AbortSignal;
};

type Answer = {
  readonly progress?: Readonly<Record<string, unknown>>;
  readonly item?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { code: string; kind: ErrorKind; message: string; details: Readonly<Record<string, unknown>> };
};

/**
 * Asks one thing on a connection of its own; resolves with the result.
 *
 * @throws control.not_running, control.no_permission, control.lost, and whatever error the agent answers with
 */
export async function askAgent(
  socketPath: string,
  request: { readonly request: string } & Readonly<Record<string, unknown>>,
  hearing: Hearing = {},
): Promise<Readonly<Record<string, unknown>>> {
  const socket = await connectTo(socketPath);
  const leave = () => socket.destroy();
  hearing.signal?.addEventListener('abort', leave);
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })) {
      const answer = JSON.parse(line) as Answer;
      if (answer.progress) hearing.onProgress?.(answer.progress);
      if (answer.item) hearing.onItem?.(answer.item);
      if (answer.error) throw new CodedError(answer.error);
      if (answer.result) return answer.result;
    }
    throw controlErrors.lost({ socket: socketPath });
  } finally {
    hearing.signal?.removeEventListener('abort', leave);
    socket.destroy();
  }
}

function connectTo(socketPath: string): Promise<Socket> {
  const reach = (reachable: string) =>
    new Promise<Socket>((resolve, reject) => {
      const socket = connect(reachable);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        // A connection that breaks ends the lines; that is told as `control.lost`.
        socket.on('error', () => socket.destroy());
        resolve(socket);
      });
    });
  return withSocketPath(socketPath, reach).catch((error: NodeJS.ErrnoException) => {
    const isDenied = error.code === 'EACCES' || error.code === 'EPERM';
    const failure = isDenied ? controlErrors.no_permission : controlErrors.not_running;
    throw failure({ socket: socketPath }, error);
  });
}
