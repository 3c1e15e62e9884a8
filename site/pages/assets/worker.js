// A page that was opened from a folder may not start a worker from a file. There a hidden frame runs the worker's script,
// so that search works without a server; anywhere else this does nothing.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      this.inside = this.frame.contentWindow;
      this.inside.postMessage = (data) => setTimeout(() => this.onmessage?.({data}));
      const script = this.inside.document.createElement("script");
      this.ready = new Promise((loaded) => { script.onload = loaded; });
      script.onerror = () => this.onerror?.(new ErrorEvent("error", {message: `${url} cannot be read`}));
      script.src = url;
      this.inside.document.head.append(script);
    }

    postMessage(data) {
      this.ready.then(() => this.inside.onmessage({data}));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
