// Java's own HTTP client, which by default offers an upgrade to h2c with every request.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class RealHttpClient {
  public static void main(String[] arguments) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (String stream : new String[] {"false", "true", "false"}) {
      String body = "{\"model\":\"chat\",\"messages\":[],\"stream\":" + stream + "}";
      HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0] + "/v1/chat/completions"))
          .header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(body)).build();
      HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
      System.out.println(answer.statusCode() + " " + answer.body().contains(stream.equals("true") ? "data: [DONE]" : "answer of chat"));
    }
  }
}
