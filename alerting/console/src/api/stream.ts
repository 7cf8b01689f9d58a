// The live stream of incidents and devices: connects, resumes by `Last-Event-ID`, backs off, and says which of these it does.
// `run` loops and `runOnce` works; a peer that is silent for longer than two heartbeats counts as gone.
import { backoffMs } from "./backoff";
import { SseParser, type Message } from "./sse";

export type StreamState = "connecting" | "live" | "offline";

export interface StreamListener {
  state: (state: StreamState) => void;
  message: (message: Message) => void;
  sessionEnded: () => void;
}

const SILENCE_MS = 40_000;

export class LiveStream {
  private readonly url: string;
  private readonly listener: StreamListener;
  private readonly stopped = new AbortController();
  private lastEventId = "";
  private attempt = 0;
  private connection: AbortController | null = null;
  private wake: () => void = () => undefined;

  constructor(url: string, listener: StreamListener) {
    this.url = url;
    this.listener = listener;
  }

  async run(): Promise<void> {
    while (!this.isStopped()) {
      try {
        await this.runOnce();
      } catch {
        // The state shown is the report: every cause ends in another try.
      }
      if (this.isStopped()) return;
      this.listener.state("offline");
      await this.pause(backoffMs(this.attempt, Math.random()));
      this.attempt += 1;
    }
  }

  /** Tries again at once, for when the browser says that the network is back. */
  retryNow(): void {
    this.wake();
  }

  /** Gives up the connection, for when the browser says that the network is gone: a dead peer would only show by its silence. */
  drop(): void {
    this.connection?.abort();
  }

  stop(): void {
    this.stopped.abort();
    this.wake();
  }

  private async runOnce(): Promise<void> {
    const connection = new AbortController();
    this.connection = connection;
    this.stopped.signal.addEventListener("abort", () => connection.abort(), { once: true });
    let silence = setTimeout(() => connection.abort(), SILENCE_MS);
    try {
      const reader = await this.connect(connection.signal);
      const parser = new SseParser(this.lastEventId);
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => connection.abort(), SILENCE_MS);
        for (const message of parser.push(value)) this.deliver(message);
      }
    } finally {
      clearTimeout(silence);
      connection.abort();
    }
  }

  private async connect(signal: AbortSignal): Promise<ReadableStreamDefaultReader<string>> {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.lastEventId !== "") headers["last-event-id"] = this.lastEventId;
    const response = await fetch(this.url, { headers, signal, cache: "no-store" });
    if (response.status === 401) {
      this.stop();
      this.listener.sessionEnded();
    }
    if (!response.ok || response.body === null) throw new Error(`stream answered ${response.status}`);
    this.attempt = 0;
    this.listener.state("live");
    return response.body.pipeThrough(new TextDecoderStream()).getReader();
  }

  private deliver(message: Message): void {
    this.lastEventId = message.lastEventId;
    this.listener.message(message);
  }

  private isStopped(): boolean {
    return this.stopped.signal.aborted;
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
