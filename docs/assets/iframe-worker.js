// Search in pages that are opened from the disk. It runs in a worker, and browsers start none for
// file:// pages. There this class takes the place of `Worker`: it runs the same script in a hidden
// frame, which has a global object of its own, as a worker does.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.documentElement.appendChild(this.frame)
      const inside = this.frame.contentWindow
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = (...addresses) =>
        addresses.reduce((before, each) => before.then(() => this.load(each)), Promise.resolve())
      this.ready = this.load(address)
    }

    load(address) {
      return new Promise((done, failed) => {
        const script = this.frame.contentDocument.createElement("script")
        script.src = new URL(address, location.href)
        script.onload = done
        script.onerror = () => failed(new Error(`cannot load ${script.src}`))
        this.frame.contentDocument.body.appendChild(script)
      })
    }

    postMessage(data) {
      const { MessageEvent } = this.frame.contentWindow
      this.ready.then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
      )
    }

    terminate() {
      this.frame.remove()
    }
  }
}
