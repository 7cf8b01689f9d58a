// Server-sent events, parsed as WHATWG HTML 9.2.6 says. Text chunks enter in any cut, whole messages leave.
// Own parser instead of `EventSource`: that one hides the status of a refused connection and notices no silent peer.

export interface Message {
  event: string;
  data: string;
  lastEventId: string;
}

export class SseParser {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private lastEventId: string;

  constructor(lastEventId = "") {
    this.lastEventId = lastEventId;
  }

  push(chunk: string): Message[] {
    const text = this.rest + chunk;
    // A trailing CR may be half of a CRLF: it waits for the next chunk.
    const usable = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = usable.split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? "") + text.slice(usable.length);
    const messages: Message[] = [];
    for (const line of lines) {
      const message = this.line(line);
      if (message !== null) messages.push(message);
    }
    return messages;
  }

  private line(line: string): Message | null {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.event = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.lastEventId = value;
    return null;
  }

  private dispatch(): Message | null {
    const message = { event: this.event || "message", data: this.data.join("\n"), lastEventId: this.lastEventId };
    const empty = this.data.length === 0;
    this.event = "";
    this.data = [];
    return empty ? null : message;
  }
}
