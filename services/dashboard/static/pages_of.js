// A list that comes page by page: what is there, and a button for more.

export class Pages {
  constructor(ask, draw, more) {
    this.ask = ask;
    this.draw = draw;
    this.more = more;
    this.items = [];
    this.next = null;
    more.addEventListener("click", () => this.#fetch(this.next));
  }

  /** Begin again with the first page; when more was open, as much as was shown. */
  async reload() {
    const shown = this.items.length;
    this.items = [];
    await this.#fetch(null);
    while (this.next && this.items.length < shown) await this.#fetch(this.next);
  }

  async #fetch(cursor) {
    const answer = await this.ask(cursor);
    const start = cursor === null ? [] : this.items;
    this.items = [...start, ...answer.items];
    this.next = answer.next;
    this.more.hidden = !this.next;
    this.draw(this.items, answer);
  }
}
